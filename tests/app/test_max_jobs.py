"""``max_jobs``: a worker runs exactly so many jobs, whatever runs at once, and gives back what it fetched beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from conveyor import Conveyor
from conveyor.testing import open_store
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.model.worker_options import WorkerKeywords

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "options",
    [
        {"max_jobs": 5, "concurrency": 1},
        {"max_jobs": 5, "concurrency": 3},
        {"max_jobs": 5, "concurrency": 10},
        {"max_jobs": 5, "concurrency": 2, "prefetch": 20},
    ],
    ids=str,
)
async def test_exactly_so_many_runs_start(app: Conveyor, options: WorkerKeywords) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> None:
        ran.append(number)
        await anyio.lowlevel.checkpoint()

    async with app:
        jobs = [await note.add(number) for number in range(12)]
        async with app.worker(**options):
            await eventually(_counts_to(app, waiting=7, completed=5))
        assert await app.queue("work").count("waiting") == 7
        left = [job for job in [await app.queue("work").get_job(job.id) for job in jobs[5:]] if job is not None]
    assert sorted(ran) == list(range(5))
    assert [job.data.attempts_made for job in left] == [0] * 7


async def test_a_program_that_was_taken_over_goes_on_after_so_many(store_url: str) -> None:
    async with open_store(store_url) as store:
        app = Conveyor(store)

        @app.queue("work").job()
        async def fail() -> None:
            raise ValueError

        async with app:
            for _ in range(3):
                await fail.add()
        with anyio.fail_after(10):
            await app.run(max_jobs=2)
        async with app:
            assert await _counts(app) == {"waiting": 1, "failed": 2}


async def test_the_last_runs_may_take_longer_than_the_grace(app: Conveyor) -> None:
    both, go_on = anyio.Event(), anyio.Event()
    running = 0

    @app.queue("work").job()
    async def hold() -> None:
        nonlocal running
        running += 1
        if running == 2:
            both.set()
        await go_on.wait()

    async with app:
        for _ in range(3):
            await hold.add()
        async with app.worker(max_jobs=2, shutdown_grace=0):
            await both.wait()
            await eventually(_counts_to(app, waiting=1, active=2))
            go_on.set()
            await eventually(_counts_to(app, waiting=1, completed=2))


def _counts_to(app: Conveyor, **wanted: int) -> Callable[[], Awaitable[bool]]:
    async def is_there() -> bool:
        return await _counts(app) == wanted

    return is_there


async def _counts(app: Conveyor) -> dict[str, int]:
    return {str(state): count for state, count in (await app.queue("work").counts()).items() if count}
