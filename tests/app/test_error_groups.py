"""Error groups of the app: what failed alike is found, shown and run again together."""

from __future__ import annotations

import pytest

from conveyor import Conveyor, ErrorGroupFilter, JobFilter, JobState
from conveyor.errors import CapabilityError

pytestmark = pytest.mark.anyio


async def fail_some(app: Conveyor) -> None:
    queue = app.queue("mail")
    is_mended = False

    @queue.job(name="deliver")
    async def deliver(to: str) -> None:
        if not is_mended:
            raise LookupError(f"no address of {to!r}")

    @queue.job(name="weigh")
    async def weigh(grams: int) -> None:
        raise ValueError(f"{grams} g are too much")

    async with app.worker():
        for job in [await deliver.add("ada"), await deliver.add("grace"), await weigh.add(17)]:
            await job.wait_until_finished(timeout="10s")
        (group,) = (await app.jobs.error_groups(ErrorGroupFilter(names=("deliver",)))).groups
        is_mended = True
        report = await app.jobs.rerun(JobFilter(error_group=group.id))
        assert (report.matched, report.done) == (2, 2)
        for found in (await app.jobs.find(JobFilter(names=("deliver",)))).jobs:
            await found.wait_until_finished(timeout="10s")


async def test_what_failed_alike_is_one_group_and_is_run_again(app: Conveyor) -> None:
    async with app:
        await fail_some(app)
        (left,) = (await app.jobs.error_groups()).groups
        assert (left.name, left.error_type, left.message, left.count) == ("weigh", "ValueError", "17 g are too much", 1)
        assert (await app.jobs.get(left.example_id)).data.error is not None
        assert await app.jobs.count(JobFilter(states=(JobState.COMPLETED,))) == 2


async def test_a_place_of_jobs_that_groups_nothing_refuses_by_name() -> None:
    app = Conveyor("memory://", job_queue="inline")
    async with app:
        with pytest.raises(CapabilityError, match="error groups"):
            await app.jobs.error_groups()
        with pytest.raises(CapabilityError, match="error groups"):
            await app.jobs.find(JobFilter(error_group="abc"))
