"""Expiry: jobs that must start by some time, or never."""

from __future__ import annotations

from datetime import timedelta

from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Workshop

__all__ = ["ExpiryConformance"]


class ExpiryConformance(StoreKit):
    """A job that has not started in time never does."""

    async def test_an_expiry_is_counted_from_the_stores_now(self, workshop: Workshop) -> None:
        await workshop.add("a", expires="10s")
        await workshop.add("b", expires=workshop.clock.now() + timedelta(seconds=20))
        await workshop.add("c")
        seconds = timedelta(seconds=10)
        found = [(await workshop.job(id)).expires_at for id in ("a", "b", "c")]
        assert found == [workshop.clock.now() + seconds, workshop.clock.now() + 2 * seconds, None]

    async def test_a_fetch_gives_out_nothing_that_expired(self, workshop: Workshop) -> None:
        await workshop.add("a", expires="10s")
        await workshop.add("b", expires="11s")
        await workshop.add("c")
        workshop.clock.advance(10)
        assert await workshop.fetch_order() == ["b", "c"]
        await workshop.jobs.expire_jobs()
        assert await workshop.state("a") is JobState.CANCELLED

    async def test_no_way_to_fetch_gives_out_what_expired(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c", expires="10s")
        workshop.clock.advance(10)
        hand = await workshop.hand()
        assert list(await hand.fetch(1, lifo=True)) == []
        assert list(await hand.fetch(1, job_name="pack")) == []

    async def test_an_expired_job_is_cancelled_and_says_why(self, workshop: Workshop) -> None:
        await workshop.add("a", expires="10s")
        workshop.clock.advance(9)
        assert await workshop.jobs.expire_jobs() == 0
        now = workshop.clock.advance(1)
        assert await workshop.jobs.expire_jobs() == 1
        job = await workshop.job("a")
        assert (job.state, job.finished_at, job.attempts_made) == (JobState.CANCELLED, now, 0)
        assert job.error is not None
        assert job.error.type == "Expired"
        assert list(await workshop.jobs.get_attempts("a")) == []

    async def test_expiring_again_changes_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a", expires="1s")
        workshop.clock.advance(1)
        assert [await workshop.jobs.expire_jobs() for _ in range(2)] == [1, 0]

    async def test_expiring_stops_at_the_limit(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c", expires="1s")
        await workshop.add("d", queue="elsewhere", expires="1s")
        workshop.clock.advance(1)
        assert [await workshop.jobs.expire_jobs(limit=3) for _ in range(3)] == [3, 1, 0]

    async def test_a_delayed_job_expires_where_it_is(self, workshop: Workshop) -> None:
        due_at = workshop.clock.now() + timedelta(hours=1)
        await workshop.add("a", run_at=due_at, expires="10s")
        workshop.clock.advance(10)
        assert await workshop.jobs.expire_jobs() == 1
        assert await workshop.jobs.get_next_delayed_timestamp([QUEUE]) is None

    async def test_a_run_that_began_in_time_goes_on(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", expires="10s")
        workshop.clock.advance(11)
        assert await workshop.jobs.expire_jobs() == 0
        await workshop.finish(job)
        assert await workshop.state("a") is JobState.COMPLETED

    async def test_a_retry_that_would_begin_too_late_expires(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", expires="10s", attempts=5)
        await workshop.finish(job, Command.DELAY)
        workshop.clock.advance(10)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await workshop.fetch_order() == []
        await workshop.jobs.expire_jobs()
        assert await workshop.state("a") is JobState.CANCELLED

    async def test_a_stalled_job_expires_once_it_is_reclaimed(self, workshop: Workshop) -> None:
        await workshop.fetched("a", expires="10s")
        workshop.clock.advance(LOCK * 2)
        assert await workshop.jobs.expire_jobs() == 0
        await workshop.jobs.reclaim_stalled_jobs(3)
        assert list(await (await workshop.hand()).fetch_suspects()) == []
        await workshop.jobs.expire_jobs()
        assert await workshop.state("a") is JobState.CANCELLED

    async def test_a_rerun_job_expires_no_more(self, workshop: Workshop) -> None:
        await workshop.add("a", expires="1s")
        workshop.clock.advance(1)
        await workshop.jobs.expire_jobs()
        assert (await workshop.jobs.rerun_job("a")).expires_at is None
        workshop.clock.advance(10)
        assert await workshop.fetch_order() == ["a"]

    async def test_a_removed_job_expires_no_more(self, workshop: Workshop) -> None:
        await workshop.add("a", expires="1s")
        await workshop.jobs.remove_job("a")
        await workshop.add("a")
        workshop.clock.advance(1)
        assert await workshop.jobs.expire_jobs() == 0
        assert await workshop.fetch_order() == ["a"]
