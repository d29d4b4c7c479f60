"""Locks: what only the run that holds a job may do, and what a zombie may not."""

from __future__ import annotations

from datetime import timedelta

from conveyor.model.job import JobData, LogEntry, Progress, ProgressReport
from conveyor.model.locks import LockToken
from conveyor.model.settlement import Refusal, RefusalReason
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, Workshop, ending, lock_of, stranger, token_of

__all__ = ["LocksConformance"]


async def zombie_and_heir(workshop: Workshop) -> tuple[JobData, JobData]:
    """Return one job as a run that lost it had it, and as the run has it that owns it now."""
    zombie = await workshop.fetched("a")
    workshop.clock.advance(LOCK * 2)
    await workshop.jobs.reclaim_stalled_jobs(3)
    return zombie, await (await workshop.hand()).fetch_suspect()


class LocksConformance(StoreKit):
    """Everything a run writes compares its token."""

    async def test_a_zombie_cannot_settle(self, workshop: Workshop) -> None:
        zombie, heir = await zombie_and_heir(workshop)
        report = await workshop.jobs.settle_jobs([ending(lock_of(zombie), Command.COMPLETE, result=b"1")])
        assert list(report.refused) == [Refusal("a", token_of(zombie), RefusalReason.LOCK_LOST)]
        assert await workshop.job("a") == heir

    async def test_a_zombie_cannot_extend(self, workshop: Workshop) -> None:
        zombie, _ = await zombie_and_heir(workshop)
        lock = lock_of(zombie)
        assert list(await workshop.jobs.extend_locks([lock], LOCK)) == [lock]

    async def test_a_zombie_does_not_keep_the_lock_of_its_heir(self, workshop: Workshop) -> None:
        zombie, _ = await zombie_and_heir(workshop)
        await workshop.jobs.extend_locks([lock_of(zombie)], LOCK * 100)
        workshop.clock.advance(LOCK * 2)
        assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(3)] == ["a"]

    async def test_a_zombie_cannot_release(self, workshop: Workshop) -> None:
        zombie, heir = await zombie_and_heir(workshop)
        lock = lock_of(zombie)
        assert list(await workshop.jobs.release_locks([lock])) == [lock]
        assert await workshop.job("a") == heir

    async def test_a_zombie_cannot_log(self, workshop: Workshop) -> None:
        zombie, _ = await zombie_and_heir(workshop)
        refused = await workshop.jobs.append_logs([LogEntry("a", "boo", lock=lock_of(zombie))])
        assert list(refused) == [Refusal("a", token_of(zombie), RefusalReason.LOCK_LOST)]
        assert list(await workshop.jobs.get_logs("a")) == []

    async def test_a_zombie_cannot_report_progress(self, workshop: Workshop) -> None:
        zombie, _ = await zombie_and_heir(workshop)
        refused = await workshop.jobs.set_progress([ProgressReport(lock_of(zombie), Progress(1, 2))])
        assert list(refused) == [Refusal("a", token_of(zombie), RefusalReason.LOCK_LOST)]
        assert (await workshop.job("a")).progress is None

    async def test_the_heir_of_a_zombie_can_do_everything(self, workshop: Workshop) -> None:
        zombie, heir = await zombie_and_heir(workshop)
        await workshop.settle(ending(lock_of(zombie), Command.FAIL))
        lock = lock_of(heir)
        assert list(await workshop.jobs.extend_locks([lock], LOCK)) == []
        assert list(await workshop.jobs.append_logs([LogEntry("a", "hello", lock=lock)])) == []
        assert list(await workshop.jobs.set_progress([ProgressReport(lock, Progress(1))])) == []
        assert await workshop.settle(ending(lock, Command.COMPLETE)) == []
        assert await workshop.state("a") is JobState.COMPLETED

    async def test_another_fetch_of_the_same_session_is_another_run(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        first = await hand.fetch_one()
        await workshop.jobs.release_locks([lock_of(first)])
        second = await hand.fetch_one()
        assert second.token == LockToken(hand.id, 2)
        assert await workshop.settle(ending(lock_of(first), Command.COMPLETE)) == ["a"]
        assert await workshop.settle(ending(lock_of(second), Command.COMPLETE)) == []

    async def test_a_token_of_one_job_does_not_open_another_of_another_fetch(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        a, _ = await hand.fetch_one(), await hand.fetch_one()
        forged = lock_of(a)._replace(job_id="b")
        assert await workshop.settle(ending(forged, Command.COMPLETE)) == ["b"]
        assert list(await workshop.jobs.extend_locks([forged], LOCK)) == [forged]
        assert await workshop.state("b") is JobState.ACTIVE

    async def test_extending_keeps_the_job(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        for _ in range(3):
            workshop.clock.advance(LOCK * 0.9)
            assert list(await workshop.jobs.extend_locks([lock_of(job)], LOCK)) == []
        assert list(await workshop.jobs.get_stalled_jobs(timedelta(0))) == []
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []

    async def test_an_extended_lock_ends_its_duration_from_now(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(LOCK / 2)
        await workshop.jobs.extend_locks([lock_of(job)], LOCK)
        workshop.clock.advance(LOCK * 0.99)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []
        workshop.clock.advance(LOCK * 0.02)
        assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(3)] == ["a"]

    async def test_extending_tells_which_locks_are_lost_and_keeps_the_others(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        a, b, c = await (await workshop.hand()).fetch()
        await workshop.jobs.cancel_job("b", "enough")
        workshop.clock.advance(LOCK * 0.9)
        nobody = stranger("nobody")
        lost = await workshop.jobs.extend_locks([lock_of(a), nobody, lock_of(b), lock_of(c)], LOCK)
        assert set(lost) == {nobody, lock_of(b)}
        workshop.clock.advance(LOCK * 0.9)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []

    async def test_an_expired_lock_that_nobody_reclaimed_can_be_extended(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(LOCK * 5)
        assert list(await workshop.jobs.extend_locks([lock_of(job)], LOCK)) == []
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []

    async def test_an_expired_lock_that_nobody_reclaimed_can_settle(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(LOCK * 5)
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == []
        assert await workshop.state("a") is JobState.COMPLETED

    async def test_a_released_job_waits_with_nothing_counted(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(3)
        assert list(await workshop.jobs.release_locks([lock_of(job)])) == []
        released = await workshop.job("a")
        assert (released.state, released.attempts_made, released.stalled_count) == (JobState.WAITING, 0, 0)
        assert released.run_at == job.run_at

    async def test_a_released_job_is_due_at_once_elsewhere(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.release_locks([lock_of(job)])
        assert await workshop.fetch_order() == ["a"]

    async def test_who_released_a_job_can_write_nothing_more(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        lock = lock_of(job)
        await workshop.jobs.release_locks([lock])
        assert await workshop.settle(ending(lock, Command.COMPLETE)) == ["a"]
        assert list(await workshop.jobs.extend_locks([lock], LOCK)) == [lock]
        assert len(await workshop.jobs.append_logs([LogEntry("a", "boo", lock=lock)])) == 1

    async def test_one_lost_lock_does_not_stop_the_others_from_being_released(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        a, b = await (await workshop.hand()).fetch()
        forged = stranger("a")
        assert list(await workshop.jobs.release_locks([forged, lock_of(b)])) == [forged]
        assert await workshop.state("a") is JobState.ACTIVE
        assert await workshop.state("b") is JobState.WAITING
        assert await workshop.settle(ending(lock_of(a), Command.COMPLETE)) == []

    async def test_extending_and_releasing_nothing_loses_nothing(self, workshop: Workshop) -> None:
        assert list(await workshop.jobs.extend_locks([], LOCK)) == []
        assert list(await workshop.jobs.release_locks([])) == []

    async def test_a_cancelled_run_can_write_nothing_more(self, workshop: Workshop) -> None:
        lock = lock_of(await workshop.fetched("a"))
        await workshop.jobs.cancel_job("a", "enough")
        assert await workshop.settle(ending(lock, Command.COMPLETE)) == ["a"]
        assert list(await workshop.jobs.extend_locks([lock], LOCK)) == [lock]
        assert list(await workshop.jobs.release_locks([lock])) == [lock]
        assert len(await workshop.jobs.set_progress([ProgressReport(lock, Progress(1))])) == 1
        assert await workshop.state("a") is JobState.CANCELLED
