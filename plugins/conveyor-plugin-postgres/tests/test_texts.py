"""Text that PostgreSQL cannot keep: what users hand over with a NUL in it is kept all the same, and found."""

from __future__ import annotations

import pytest

from conveyor import Conveyor, JobContext, JobFilter, JobState, fixed
from conveyor.errors import JobFailedError

pytestmark = pytest.mark.anyio


async def test_errors_lines_and_reasons_with_nul_are_kept_and_found(empty_url: str) -> None:
    app = Conveyor(empty_url)
    queue = app.queue("work", tags=["red"])

    @queue.job()
    async def spoil(context: JobContext) -> None:
        context.log("a\0line")
        raise ValueError("a\0b")

    async with app:
        retried = await spoil.options(attempts=2, backoff=fixed("1h")).add()
        delayed = await spoil.options(delay="1h").add()
        async with app.worker():
            failed = await spoil.add()
            with pytest.raises(JobFailedError, match=r"a\\x00b"):
                await failed.result(timeout="20s")
        await delayed.move_to_failed("by\0hand")
        assert [line.message for line in await failed.logs()] == ["a\\x00line"]
        found = await app.jobs.find(JobFilter(tags=("red",), states=(JobState.FAILED,), error="x00b"))
        assert [job.id for job in found.jobs] == [failed.id]
        assert await app.jobs.count(JobFilter(error="hand")) == 1
        assert await app.jobs.count(JobFilter(tags=("red",), error="valueerror")) == 2
        assert (await retried.refresh()).state is JobState.DELAYED
