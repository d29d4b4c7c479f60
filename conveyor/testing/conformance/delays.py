"""Delays: jobs whose time has not come, and what makes them wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor.errors import JobNotFoundError
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import QUEUE, Workshop

__all__ = ["DelaysConformance"]


class DelaysConformance(StoreKit):
    """Delayed jobs are promoted by time or by hand, and by nothing else."""

    async def test_a_delayed_job_is_not_fetched(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        assert await workshop.fetch_order() == []

    async def test_a_job_is_not_promoted_before_its_time(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        workshop.clock.advance(9.999)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 0
        assert await workshop.state("a") is JobState.DELAYED

    async def test_a_job_is_promoted_when_its_time_has_come(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        due_at = workshop.clock.advance(10)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 1
        job = await workshop.job("a")
        assert (job.state, job.run_at) == (JobState.WAITING, due_at)
        assert await workshop.fetch_order() == ["a"]

    async def test_a_late_promotion_keeps_the_time_the_job_was_due(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        due_at = workshop.clock.now() + timedelta(seconds=10)
        workshop.clock.advance("1 day")
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert (await workshop.job("a")).run_at == due_at

    async def test_only_the_queues_named_are_promoted(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        await workshop.add("b", delay=10, queue="elsewhere")
        await workshop.add("c", delay=10, queue="nowhere")
        workshop.clock.advance(10)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE, "elsewhere"]) == 2
        assert await workshop.state("c") is JobState.DELAYED

    async def test_promotion_goes_in_chunks(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c", "d", "e", delay=10)
        workshop.clock.advance(10)
        counts = [await workshop.jobs.promote_delayed_jobs([QUEUE], limit=2) for _ in range(4)]
        assert counts == [2, 2, 1, 0]

    async def test_the_next_delayed_timestamp_is_the_soonest_of_the_queues_named(self, workshop: Workshop) -> None:
        start = workshop.clock.now()
        await workshop.add("late", delay=30)
        await workshop.add("soon", delay=20)
        await workshop.add("sooner", delay=10, queue="elsewhere")
        ask = workshop.jobs.get_next_delayed_timestamp
        assert await ask([QUEUE]) == start + timedelta(seconds=20)
        assert await ask([QUEUE, "elsewhere"]) == start + timedelta(seconds=10)

    async def test_a_job_that_is_overdue_is_still_the_next(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        due_at = workshop.clock.now() + timedelta(seconds=10)
        workshop.clock.advance("1h")
        assert await workshop.jobs.get_next_delayed_timestamp([QUEUE]) == due_at

    async def test_there_is_no_next_time_when_nothing_is_delayed(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await workshop.add("b", delay=10)
        await workshop.jobs.cancel_job("b", "enough")
        assert await workshop.jobs.get_next_delayed_timestamp([QUEUE]) is None

    async def test_a_retry_due_later_is_the_next(self, workshop: Workshop) -> None:
        await workshop.finished("a", Command.DELAY)
        assert await workshop.jobs.get_next_delayed_timestamp([QUEUE]) == (await workshop.job("a")).run_at

    async def test_a_promotion_by_hand_is_of_now(self, workshop: Workshop) -> None:
        await workshop.add("a", delay="1h")
        now = workshop.clock.advance(5)
        job = await workshop.jobs.promote_job("a")
        assert job == await workshop.job("a")
        assert (job.state, job.run_at) == (JobState.WAITING, now)
        assert await workshop.jobs.get_next_delayed_timestamp([QUEUE]) is None

    async def test_a_cancelled_delayed_job_is_not_promoted(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        await workshop.jobs.cancel_job("a", "enough")
        workshop.clock.advance(20)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 0
        assert await workshop.state("a") is JobState.CANCELLED

    async def test_a_removed_delayed_job_is_not_promoted(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        await workshop.jobs.remove_job("a")
        workshop.clock.advance(20)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 0

    async def test_a_job_promoted_by_hand_and_run_again_is_promoted_once(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        await workshop.jobs.promote_job("a")
        await workshop.finish(await (await workshop.hand()).fetch_one())
        workshop.clock.advance(20)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 0
        assert await workshop.state("a") is JobState.COMPLETED

    @pytest.mark.parametrize("verb", ["promote_job", "rerun_job", "remove_job"])
    async def test_a_verb_on_no_job_says_so(self, workshop: Workshop, verb: str) -> None:
        with pytest.raises(JobNotFoundError) as caught:
            await getattr(workshop.jobs, verb)("nobody")
        assert caught.value.job_id == "nobody"

    async def test_a_cancel_of_no_job_says_so(self, workshop: Workshop) -> None:
        with pytest.raises(JobNotFoundError):
            await workshop.jobs.cancel_job("nobody", "enough")
