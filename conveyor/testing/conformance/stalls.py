"""Stalls: jobs whose worker gave no sign of life for longer than its lock."""

from __future__ import annotations

from datetime import timedelta

from conveyor.model.job import AttemptOutcome
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import BROKEN, LOCK, Workshop, ending, lock_of, token_of

__all__ = ["StallsConformance"]

NOTHING = timedelta(0)


class StallsConformance(StoreKit):
    """A crash spends a stall, never an attempt."""

    async def test_a_held_job_is_not_stalled(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 0.99)
        assert list(await workshop.jobs.get_stalled_jobs(NOTHING)) == []
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []
        assert await workshop.state("a") is JobState.ACTIVE

    async def test_a_job_is_stalled_once_its_lock_is_over(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(LOCK * 1.01)
        assert list(await workshop.jobs.get_stalled_jobs(NOTHING)) == [job]

    async def test_a_lock_is_over_at_the_moment_it_ends(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK)
        assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(3)] == ["a"]

    async def test_looking_for_stalled_jobs_changes_nothing(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.get_stalled_jobs(NOTHING)
        assert await workshop.job("a") == job

    async def test_a_threshold_passes_over_what_has_only_just_stalled(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK + timedelta(seconds=10))
        assert list(await workshop.jobs.get_stalled_jobs(timedelta(seconds=11))) == []
        assert [job.id for job in await workshop.jobs.get_stalled_jobs(timedelta(seconds=9))] == ["a"]

    async def test_looking_for_stalled_jobs_stops_at_the_limit(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        await (await workshop.hand()).fetch()
        workshop.clock.advance(LOCK * 2)
        assert len(await workshop.jobs.get_stalled_jobs(NOTHING, limit=2)) == 2

    async def test_a_reclaimed_job_counts_a_stall_and_no_attempt(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        (job,) = await workshop.jobs.reclaim_stalled_jobs(3)
        assert job == await workshop.job("a")
        assert (job.state, job.stalled_count, job.attempts_made) == (JobState.WAITING, 1, 0)

    async def test_a_stall_is_told_in_history(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        ended_at = workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(3)
        (attempt,) = await workshop.jobs.get_attempts("a")
        assert (attempt.number, attempt.outcome, attempt.token) == (1, AttemptOutcome.STALLED, job.token)
        assert (attempt.started_at, attempt.ended_at) == (job.started_at, ended_at)

    async def test_a_job_that_stalls_too_often_fails_and_says_why(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await (await workshop.hand()).fetch_one()
        for stalls in (1, 2):
            workshop.clock.advance(LOCK * 2)
            (job,) = await workshop.jobs.reclaim_stalled_jobs(2)
            assert (job.state, job.stalled_count) == (JobState.WAITING, stalls)
            await (await workshop.hand()).fetch_suspect()
        now = workshop.clock.advance(LOCK * 2)
        (job,) = await workshop.jobs.reclaim_stalled_jobs(2)
        assert job == await workshop.job("a")
        assert (job.state, job.stalled_count, job.attempts_made) == (JobState.FAILED, 3, 0)
        assert job.finished_at == now
        assert "stalled" in str(job.error).lower()
        assert await workshop.outcomes("a") == [AttemptOutcome.STALLED] * 3

    async def test_no_stall_allowed_fails_at_the_first(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        assert [job.state for job in await workshop.jobs.reclaim_stalled_jobs(0)] == [JobState.FAILED]

    async def test_a_reclaimed_job_runs_again_elsewhere(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(3)
        await workshop.finish(await (await workshop.hand()).fetch_suspect())
        assert (await workshop.job("a")).attempts_made == 1
        assert await workshop.outcomes("a") == [AttemptOutcome.STALLED, AttemptOutcome.COMPLETED]

    async def test_reclaiming_leaves_the_jobs_of_living_sessions_alone(self, workshop: Workshop) -> None:
        await workshop.add("dead", "alive")
        await (await workshop.hand()).fetch_one()
        alive = await workshop.hand()
        await alive.fetch_one()
        workshop.clock.advance(LOCK * 0.9)
        await workshop.sessions.renew(alive.id, LOCK)
        workshop.clock.advance(LOCK * 0.9)
        assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(3)] == ["dead"]
        assert await workshop.state("alive") is JobState.ACTIVE

    async def test_reclaiming_stops_at_the_limit(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        await (await workshop.hand()).fetch()
        workshop.clock.advance(LOCK * 2)
        counts = [len(await workshop.jobs.reclaim_stalled_jobs(3, limit=2)) for _ in range(3)]
        assert counts == [2, 1, 0]

    async def test_a_released_job_does_not_stall(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.release_locks([lock_of(job)])
        workshop.clock.advance(LOCK * 2)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []

    async def test_a_rerun_forgets_the_stalls(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(0)
        assert (await workshop.jobs.rerun_job("a")).stalled_count == 0
        assert await workshop.fetch_order() == ["a"]

    async def test_a_stall_between_attempts_leaves_the_attempts_as_they_are(self, workshop: Workshop) -> None:
        await workshop.finished("a", Command.RETRY)
        await (await workshop.hand()).fetch_one()
        workshop.clock.advance(LOCK * 2)
        (job,) = await workshop.jobs.reclaim_stalled_jobs(3)
        assert (job.attempts_made, job.stalled_count) == (1, 1)

    async def test_a_run_whose_worker_lives_may_end_by_a_stall(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", attempts=1)
        workshop.clock.advance(1)
        assert await workshop.settle(ending(lock_of(job), Command.RECLAIM)) == []
        after = await workshop.job("a")
        assert (after.state, after.stalled_count, after.attempts_made) == (JobState.WAITING, 1, 0)
        assert after.run_at == job.run_at
        (attempt,) = await workshop.jobs.get_attempts("a")
        assert (attempt.number, attempt.outcome, attempt.token) == (1, AttemptOutcome.STALLED, token_of(job))
        assert attempt.error == after.error == BROKEN

    async def test_a_job_that_ended_by_a_stall_is_a_suspect_at_its_old_place(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        first, second = await hand.fetch()
        workshop.clock.advance(1)
        await workshop.finish(second, Command.RECLAIM)
        await workshop.finish(first, Command.RECLAIM)
        assert list(await hand.fetch()) == []
        assert (await hand.fetch_suspect()).id == "a"

    async def test_a_stall_too_many_fails_with_the_reason_that_the_run_gave(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", attempts=3)
        now = workshop.clock.advance(1)
        await workshop.finish(job, Command.GIVE_UP)
        after = await workshop.job("a")
        assert (after.state, after.stalled_count, after.attempts_made) == (JobState.FAILED, 1, 0)
        assert (after.error, after.finished_at) == (BROKEN, now)
        assert await workshop.outcomes("a") == [AttemptOutcome.STALLED]

    async def test_a_stall_too_many_may_leave_no_record(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        assert await workshop.settle(ending(lock_of(job), Command.GIVE_UP, is_removed=True)) == []
        assert await workshop.state("a") is None
        left = (await workshop.jobs.find_endings(["a"]))["a"]
        assert (left.state, left.error) == (JobState.FAILED, BROKEN)

    async def test_a_zombie_can_not_end_by_a_stall(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.release_locks([lock_of(job)])
        for command in (Command.RECLAIM, Command.GIVE_UP):
            assert await workshop.settle(ending(lock_of(job), command)) == ["a"]
        assert ((await workshop.job("a")).state, (await workshop.job("a")).stalled_count) == (JobState.WAITING, 0)

    async def test_a_stall_that_was_reclaimed_already_is_not_counted_again(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(3)
        assert await workshop.settle(ending(lock_of(job), Command.RECLAIM)) == []
        assert (await workshop.job("a")).stalled_count == 1

    async def test_a_discarded_job_stalls_as_any_other(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.discard("a")
        await workshop.finish(job, Command.RECLAIM)
        assert await workshop.state("a") is JobState.WAITING
