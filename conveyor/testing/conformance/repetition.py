"""Repetition: every verb repeated after a lost answer changes nothing more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor.errors import InvalidJobStateError, JobNotFoundError
from conveyor.model.job import AttemptOutcome, LogEntry, Progress, ProgressReport
from conveyor.model.queries import ALL_NAMES, Want
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Workshop, ending, lock_of

__all__ = ["RepetitionConformance"]

ENDS = [
    Command.COMPLETE,
    Command.FAIL,
    Command.RETRY,
    Command.DELAY,
    Command.STOP,
    Command.RECLAIM,
    Command.GIVE_UP,
]


class RepetitionConformance(StoreKit):
    """The first answer is thrown away; the second call finds the world as the first left it."""

    async def test_adding_many_again_adds_nothing(self, workshop: Workshop) -> None:
        jobs = [workshop.new(job_id) for job_id in "abc"]
        receipts = await workshop.jobs.save_jobs(jobs)
        workshop.clock.advance(1)
        before = await workshop.jobs.find_jobs("abc")
        assert list(await workshop.jobs.save_jobs(jobs)) == list(receipts)
        assert await workshop.jobs.find_jobs("abc") == before
        assert await workshop.fetch_order() == ["a", "b", "c"]

    async def test_adding_a_delayed_job_again_does_not_delay_it_further(self, workshop: Workshop) -> None:
        job = workshop.new("a", delay=10)
        await workshop.jobs.save_job(job)
        due_at = (await workshop.job("a")).run_at
        workshop.clock.advance(5)
        await workshop.jobs.save_job(job)
        assert (await workshop.job("a")).run_at == due_at

    @pytest.mark.parametrize("command", ENDS)
    async def test_settling_again_changes_nothing(self, workshop: Workshop, command: Command) -> None:
        settlement = ending(lock_of(await workshop.fetched("a")), command)
        assert await workshop.settle(settlement) == []
        before, attempts = await workshop.job("a"), await workshop.jobs.get_attempts("a")
        workshop.clock.advance(3)
        assert await workshop.settle(settlement) == []
        assert await workshop.job("a") == before
        assert list(await workshop.jobs.get_attempts("a")) == list(attempts)

    async def test_one_settlement_twice_in_one_call_is_applied_once(self, workshop: Workshop) -> None:
        settlement = ending(lock_of(await workshop.fetched("a")), Command.RETRY)
        assert await workshop.settle(settlement, settlement) == []
        assert (await workshop.job("a")).attempts_made == 1
        assert await workshop.outcomes("a") == [AttemptOutcome.RETRIED]

    async def test_settling_again_while_the_next_run_is_going_on_does_not_touch_it(self, workshop: Workshop) -> None:
        settlement = ending(lock_of(await workshop.fetched("a")), Command.RETRY)
        await workshop.settle(settlement)
        heir = await (await workshop.hand()).fetch_one()
        assert await workshop.settle(settlement) == []
        assert await workshop.job("a") == heir
        assert await workshop.settle(ending(lock_of(heir), Command.COMPLETE)) == []

    async def test_settling_again_after_a_rerun_does_not_touch_it(self, workshop: Workshop) -> None:
        job = await workshop.finished("a")
        rerun = await workshop.jobs.rerun_job("a")
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == []
        assert await workshop.job("a") == rerun

    async def test_settling_and_fetching_again_answers_the_same(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        settlement = ending(lock_of(await hand.fetch_one()), Command.COMPLETE)
        first = await hand.settle_and_fetch(settlement, Want(QUEUE, 1))
        hand.fetches -= 1
        second = await hand.settle_and_fetch(settlement, Want(QUEUE, 1))
        assert (list(second.refused), list(second.jobs)) == ([], list(first.jobs))
        assert await workshop.state("c") is JobState.WAITING

    async def test_fetching_again_takes_nothing_more(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        first = await hand.fetch(2)
        workshop.clock.advance(1)
        assert list(await hand.repeat_fetch()) == list(first)
        assert await workshop.queues.get_active_count(QUEUE) == 2

    async def test_fetching_again_with_an_empty_answer_may_not_take_from_another(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        hand = await workshop.hand()
        await hand.fetch()
        assert list(await hand.repeat_fetch()) == []
        assert await workshop.job("a") == job

    async def test_extending_again_keeps_the_lock(self, workshop: Workshop) -> None:
        lock = lock_of(await workshop.fetched("a"))
        for _ in range(2):
            assert list(await workshop.jobs.extend_locks([lock], LOCK)) == []

    async def test_releasing_again_takes_the_job_from_nobody(self, workshop: Workshop) -> None:
        lock = lock_of(await workshop.fetched("a"))
        await workshop.jobs.release_locks([lock])
        heir = await (await workshop.hand()).fetch_one()
        await workshop.jobs.release_locks([lock])
        assert await workshop.job("a") == heir

    async def test_reporting_progress_again_changes_nothing(self, workshop: Workshop) -> None:
        report = ProgressReport(lock_of(await workshop.fetched("a")), Progress(1, 2))
        for _ in range(2):
            assert list(await workshop.jobs.set_progress([report])) == []
        assert (await workshop.job("a")).progress == Progress(1, 2)

    async def test_opening_a_session_again_does_not_lose_its_jobs(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        await hand.open()
        assert await workshop.job("a") == job
        assert len(await workshop.sessions.list_sessions()) == 1

    async def test_renewing_again_keeps_what_the_session_holds(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        assert [await workshop.sessions.renew(hand.id, LOCK) for _ in range(2)] == [True, True]
        assert await workshop.job("a") == job

    async def test_clearing_logs_again_finds_none(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await workshop.jobs.append_logs([LogEntry("a", "hello"), LogEntry("a", "again")])
        assert [await workshop.jobs.clear_logs("a") for _ in range(2)] == [2, 0]

    async def test_writing_lines_again_doubles_lines_and_nothing_else(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        for _ in range(2):
            assert list(await workshop.jobs.append_logs([LogEntry("a", "hello", lock=lock_of(job))])) == []
        assert {line.message for line in await workshop.jobs.get_logs("a")} == {"hello"}
        assert await workshop.job("a") == job

    async def test_reconciling_again_releases_nothing_more(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        a, _ = await hand.fetch()
        await workshop.sessions.reconcile(hand.id, [lock_of(a)], 1)
        heir = await (await workshop.hand()).fetch_one()
        report = await workshop.sessions.reconcile(hand.id, [lock_of(a)], 1)
        assert (list(report.lost), list(report.released)) == ([], [])
        assert await workshop.job("b") == heir

    async def test_closing_a_session_again_releases_nothing_more(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        await hand.fetch_one()
        assert await workshop.sessions.close(hand.id) == 1
        heir = await (await workshop.hand()).fetch_one()
        assert await workshop.sessions.close(hand.id) == 0
        assert await workshop.job("a") == heir

    async def test_pausing_and_resuming_again_change_nothing(self, workshop: Workshop) -> None:
        for _ in range(2):
            await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        assert await workshop.queues.get_paused_job_names(QUEUE) == {ALL_NAMES}
        for _ in range(2):
            await workshop.queues.resume_job_name(QUEUE, ALL_NAMES)
        assert await workshop.queues.get_paused_job_names(QUEUE) == frozenset()

    async def test_promoting_again_promotes_nothing_more(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=10)
        workshop.clock.advance(10)
        counts = [await workshop.jobs.promote_delayed_jobs([QUEUE]) for _ in range(2)]
        assert counts == [1, 0]

    async def test_reclaiming_again_counts_no_second_stall(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        counts = [len(await workshop.jobs.reclaim_stalled_jobs(3)) for _ in range(2)]
        assert counts == [1, 0]
        assert (await workshop.job("a")).stalled_count == 1

    async def test_a_reclaimed_job_fetched_by_a_living_session_is_not_reclaimed_again(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(3)
        heir = await (await workshop.hand()).fetch_suspect()
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []
        assert await workshop.job("a") == heir

    async def test_single_verbs_of_an_operator_are_refused_the_second_time(self, workshop: Workshop) -> None:
        await workshop.add("a", delay="1h")
        await workshop.jobs.promote_job("a")
        with pytest.raises(InvalidJobStateError):
            await workshop.jobs.promote_job("a")
        await workshop.jobs.cancel_job("a", "first")
        with pytest.raises(InvalidJobStateError):
            await workshop.jobs.cancel_job("a", "second")
        assert "first" in str((await workshop.job("a")).error)
        await workshop.jobs.rerun_job("a")
        with pytest.raises(InvalidJobStateError):
            await workshop.jobs.rerun_job("a", b"[2]")
        assert (await workshop.job("a")).payload == b"{}"
        await workshop.jobs.remove_job("a")
        with pytest.raises(JobNotFoundError):
            await workshop.jobs.remove_job("a")

    async def test_bulk_verbs_of_an_operator_find_nothing_the_second_time(self, workshop: Workshop) -> None:
        await workshop.finished("a", Command.FAIL)
        assert [await workshop.queues.retry_jobs(QUEUE, JobState.FAILED) for _ in range(2)] == [1, 0]
        await workshop.add("b", delay=10)
        assert [await workshop.queues.promote_jobs(QUEUE) for _ in range(2)] == [1, 0]
        assert [await workshop.queues.drain(QUEUE) for _ in range(2)] == [2, 0]
        await workshop.finished("c")
        workshop.clock.advance(1)
        cleaned = [await workshop.queues.clean(QUEUE, JobState.COMPLETED, timedelta(0)) for _ in range(2)]
        assert cleaned == [1, 0]
        await workshop.add("d")
        assert [await workshop.queues.obliterate(QUEUE) for _ in range(2)] == [1, 0]
