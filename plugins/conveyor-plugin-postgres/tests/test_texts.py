"""Text that PostgreSQL cannot keep: what users hand over with a NUL in it is kept all the same, and found."""

from __future__ import annotations

import pytest

from conveyor import Conveyor, JobContext, JobFilter, JobState, fixed
from conveyor.errors import BatchJobNotFoundError, JobFailedError, JobNotFoundError, ScheduleNotFoundError

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


@pytest.mark.parametrize("unknown", ["a\0b", "caf\udce9"])
async def test_ids_and_keys_that_no_text_can_be_are_not_found(empty_url: str, unknown: str) -> None:
    app = Conveyor(empty_url)
    async with app:
        assert await app.queue("work").get_job(unknown) is None
        assert await app.queue("work").find_by_deduplication_key("send", unknown) is None
        with pytest.raises(JobNotFoundError):
            await app.flows.cancel(unknown)
        with pytest.raises(ScheduleNotFoundError):
            await app.schedules.pause(unknown)
        with pytest.raises(BatchJobNotFoundError):
            await app.batches.get(unknown)
