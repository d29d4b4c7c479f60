"""Adding while there are buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor, JobBuffer
from conveyor._builtin.store_queue import StoreJobQueue
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import NewJob
    from conveyor.model.queries import AddReceipt

pytestmark = pytest.mark.anyio


class Noting(StoreJobQueue):
    """Notes how jobs come to the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def add(self, job: NewJob, /) -> AddReceipt:
        self.calls.append("add")
        return await super().add(job)

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        self.calls.append("add_many")
        return await super().add_many(jobs)


async def test_a_single_job_that_no_buffer_collects_is_added_as_if_there_were_none() -> None:
    job_queue = Noting()
    app = Conveyor("memory://", job_queue=job_queue)
    app.buffers.add_buffer(JobBuffer("b", collect=lambda job: job.name == "buffered", reduce=list))
    async with app:
        await app.queue("q").add("plain")
        buffered = await app.queue("q").add("buffered")
        assert (job_queue.calls, buffered.added_as) == (["add"], Added.BUFFERED)
