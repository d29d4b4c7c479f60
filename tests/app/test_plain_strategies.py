"""Job queue strategies with the three methods that each must have, and what is refused as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor
from conveyor.errors import CapabilityError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import NewJob

pytestmark = pytest.mark.anyio


class Shelf:
    """Keeps jobs on a shelf, and answers an add with the job, as many do."""

    def __init__(self) -> None:
        self.kept: list[NewJob] = []

    async def init(self, injector: Injector, /) -> None: ...

    async def destroy(self) -> None: ...

    async def add(self, job: NewJob, /) -> object:
        self.kept.append(job)
        return job

    async def start(self, queue_name: str, process: ProcessJob, /) -> None: ...

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        return ()


async def test_what_takes_one_job_at_a_time_is_given_several_one_after_another() -> None:
    shelf = Shelf()
    app = Conveyor("memory://", job_queue=shelf)
    queue = app.queue("work")
    async with app:
        first = await queue.add("pack", {"number": 1})
        more = await queue.add_many([queue.new("pack", {"number": number}) for number in (2, 3)])
    assert [job.id for job in shelf.kept] == [first.id, *(job.id for job in more)]


async def test_what_cannot_be_looked_into_cannot_be_cleaned() -> None:
    async with Conveyor("memory://", job_queue=Shelf()) as app:
        with pytest.raises(CapabilityError, match="cleaning a queue needs the capability 'inspection'"):
            await app.queue("work").clean(None)


class NoStart:
    init = destroy = add = stop = Shelf.add


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (NoStart(), "it has no start"),
        (object(), "it has no init, no destroy, no add, no start, no stop"),
        (Shelf, "it is a class: give an instance"),
        (None, "job_queue must be a name"),
    ],
)
async def test_what_is_no_job_queue_is_refused_when_it_is_given(given: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Conveyor("memory://", job_queue=given)
