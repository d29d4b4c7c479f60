"""Batch jobs while old and new programs work side by side: what one does not know, it leaves to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import BatchStatus, Conveyor, JobState
from conveyor.errors import JobFailedError, UnknownHandlerError
from tests.app.batches.strategies import Counting
from tests.app.batches.test_parts import ROWS, Remembered
from tests.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor import BatchJob, RowContext
    from tests.app.batches.test_parts import Params

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def old(url: str) -> Conveyor:
    """A program from before there were batch jobs of the type that the tests create."""
    return Conveyor(url, batch_strategies=[Counting])


async def put_off(app: Conveyor, batch: BatchJob) -> None:
    """Wait until the job that works for a batch job was left to others."""

    async def is_delayed() -> bool:
        job = await app.jobs.get((await batch.refresh()).data.job_id or "")
        return job.state is JobState.DELAYED

    await eventually(is_delayed)


async def test_a_worker_that_does_not_know_its_type_leaves_it_to_another(url: str, old: Conveyor) -> None:
    new = Conveyor(url, batch_strategies=[Remembered])
    async with old, new:
        batch = await new.batches.create("remembered", {"rows": 10}, confirmation="manual")
        async with old.worker():
            await put_off(new, batch)
        job = await new.jobs.get(batch.data.job_id or "")
        assert (job.data.attempts_made, job.data.error) == (0, None)
        await job.promote()
        async with new.worker():
            await eventually(lambda: is_in(batch, BatchStatus.PRE_PROCESSED))
        await batch.confirm()
        async with old.worker():
            await put_off(new, batch)
        await (await new.jobs.get(batch.data.job_id or "")).promote()
        async with new.worker():
            await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, 10)


async def is_in(batch: BatchJob, status: BatchStatus) -> bool:
    return (await batch.refresh()).status is status


async def test_what_is_cancelled_meanwhile_is_over_for_every_worker(url: str, old: Conveyor) -> None:
    new = Conveyor(url, batch_strategies=[Remembered])
    async with old, new:
        batch = await new.batches.create("remembered", {})
        await batch.cancel()
        assert (await batch.refresh()).status is BatchStatus.CANCELLED
        job = await new.jobs.get(batch.data.job_id or "")
        async with old.worker():
            await job.wait_until_finished("10s")
        assert job.state is JobState.COMPLETED


async def test_the_job_that_leads_does_the_parts_that_others_put_off(url: str, old: Conveyor) -> None:
    others_came = anyio.Event()

    class Waiting(Remembered):
        async def throttle(self, context: RowContext[Params], /) -> float:
            # Not while a row is processed: that holds the file's write lock.
            await others_came.wait()
            return 0

    strategy = Waiting()
    new = Conveyor(url, batch_strategies=[strategy])
    async with old, new, new.worker(concurrency=1):
        batch = await new.batches.create("remembered", {})
        await eventually(lambda: is_in(batch, BatchStatus.PROCESSING))
        async with old.worker(concurrency=4):

            async def are_delayed() -> bool:
                return len(await part_jobs(new, JobState.DELAYED)) == 3

            await eventually(are_delayed)
            others_came.set()
            await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done, len(strategy.rows)) == (BatchStatus.COMPLETED, ROWS, ROWS)
        # They were not waited for: nobody knew when they would come back, or to whom.
        assert len(await part_jobs(new, JobState.DELAYED)) == 3


async def part_jobs(app: Conveyor, state: JobState) -> list[str]:
    return [job.id for job in await app.queue("batches").jobs(state) if job.name == "remembered:part"]


async def test_a_job_that_works_for_no_batch_job_fails_as_any_without_a_handler(url: str, old: Conveyor) -> None:
    async with old, old.worker():
        job = await old.queue("batches").add("rmembered", {})
        with pytest.raises(JobFailedError) as caught:
            await job.result("10s")
        assert UnknownHandlerError.__name__ in str(caught.value)


async def test_a_job_that_creates_one_goes_on_to_a_worker_that_knows_the_type(url: str, old: Conveyor) -> None:
    new = Conveyor(url, batch_strategies=[Remembered])
    async with old, new:
        (job,) = await new.queue("batches").add_many([new.batches.new("remembered", {"rows": 10})])

        async def has_failed_once() -> bool:
            return (await job.refresh()).data.attempts_made == 1

        async with old.worker():
            await eventually(has_failed_once)
        assert job.state is JobState.DELAYED
        assert "no batch strategy of this program is of type 'remembered'" in str(job.data.error)
        await job.promote()
        async with new.worker():
            batch = await new.batches.get(await job.result("20s"))
            await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, 10)


async def test_what_its_strategy_refuses_is_not_created_again_and_again(url: str) -> None:
    async with Conveyor(url, batch_strategies=[Counting]) as app, app.worker():
        (job,) = await app.queue("batches").add_many([app.batches.new("count", {"rows": -1})])
        with pytest.raises(JobFailedError, match="there are no such rows"):
            await job.result("20s")
        assert job.data.attempts_made == 1
