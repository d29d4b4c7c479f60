"""Settling: how each end of a run leaves the job, item by item."""

from __future__ import annotations

from datetime import timedelta

from conveyor.model.job import Ending, ErrorInfo
from conveyor.model.settlement import Refusal, RefusalReason
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import BROKEN, LOCK, Workshop, ending, lock_of, stranger, token_of

__all__ = ["SettlingConformance"]


class SettlingConformance(StoreKit):
    """A settlement is applied once, under its lock, and says everything about the run."""

    async def test_a_completed_job_keeps_its_result(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(7)
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE, result=b'"done"')) == []
        done = await workshop.job("a")
        assert (done.state, done.result, done.error) == (JobState.COMPLETED, b'"done"', None)
        assert (done.attempts_made, done.stalled_count) == (1, 0)
        assert done.finished_at == workshop.clock.now()
        assert done.token == job.token

    async def test_a_failed_job_keeps_its_error(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        assert await workshop.settle(ending(lock_of(job), Command.FAIL, error=BROKEN)) == []
        failed = await workshop.job("a")
        assert (failed.state, failed.error, failed.result) == (JobState.FAILED, BROKEN, None)
        assert failed.attempts_made == 1
        assert failed.finished_at == workshop.clock.now()

    async def test_a_stopped_job_keeps_its_reason(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        reason = ErrorInfo("Cancelled", "sold out")
        assert await workshop.settle(ending(lock_of(job), Command.STOP, error=reason)) == []
        stopped = await workshop.job("a")
        assert (stopped.state, stopped.error) == (JobState.CANCELLED, reason)
        assert stopped.finished_at == workshop.clock.now()

    async def test_a_retry_at_once_waits_with_its_attempt_counted(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(7)
        assert await workshop.settle(ending(lock_of(job), Command.RETRY)) == []
        waiting = await workshop.job("a")
        assert (waiting.state, waiting.attempts_made, waiting.error) == (JobState.WAITING, 1, BROKEN)
        assert waiting.run_at == workshop.clock.now()
        assert waiting.finished_at is None

    async def test_a_retry_later_is_delayed_from_the_time_of_the_store(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        workshop.clock.advance(7)
        assert await workshop.settle(ending(lock_of(job), Command.DELAY, delay=timedelta(minutes=2))) == []
        delayed = await workshop.job("a")
        assert (delayed.state, delayed.attempts_made, delayed.error) == (JobState.DELAYED, 1, BROKEN)
        assert delayed.run_at == workshop.clock.now() + timedelta(minutes=2)

    async def test_a_snooze_counts_no_attempt(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.DELAY, is_snoozed=True))
        snoozed = await workshop.job("a")
        assert (snoozed.state, snoozed.attempts_made) == (JobState.DELAYED, 0)

    async def test_a_snooze_of_nothing_waits_and_counts_no_attempt(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.RETRY, is_snoozed=True))
        snoozed = await workshop.job("a")
        assert (snoozed.state, snoozed.attempts_made) == (JobState.WAITING, 0)

    async def test_attempts_add_up_over_runs(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        for runs in range(3):
            job = await hand.fetch_one()
            assert job.attempts_made == runs
            await workshop.finish(job, Command.RETRY)
        await workshop.finish(await hand.fetch_one())
        assert (await workshop.job("a")).attempts_made == 4

    async def test_a_run_that_failed_for_good_counts_its_attempt(self, workshop: Workshop) -> None:
        await workshop.finished("a", Command.RETRY)
        await workshop.finish(await (await workshop.hand()).fetch_one(), Command.FAIL)
        assert (await workshop.job("a")).attempts_made == 2

    async def test_a_settled_job_is_not_fetched(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        assert await workshop.fetch_order() == []

    async def test_a_job_removed_on_completion_leaves_no_record(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=True)
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE, is_removed=True)) == []
        assert await workshop.state("a") is None
        assert await workshop.outcomes("a") == []
        assert await workshop.queues.count_jobs("orders", JobState.COMPLETED) == 0

    async def test_a_job_removed_on_failure_leaves_no_record(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_fail=True)
        assert await workshop.settle(ending(lock_of(job), Command.FAIL, is_removed=True)) == []
        assert await workshop.state("a") is None

    async def test_how_a_job_ended_that_left_no_record_is_known(self, workshop: Workshop) -> None:
        done = await workshop.fetched("a", remove_on_complete=True)
        settlement = ending(lock_of(done), Command.COMPLETE, is_removed=True, result=b'"done"')
        failed = await workshop.fetched("b", remove_on_fail=True)
        other = ending(lock_of(failed), Command.FAIL, is_removed=True)
        assert await workshop.jobs.find_endings(["a", "b"]) == {}
        assert await workshop.settle(settlement, other) == []
        endings = await workshop.jobs.find_endings(["a", "b", "c"])
        now = workshop.clock.now()
        assert endings == {
            "a": Ending(JobState.COMPLETED, now, b'"done"'),
            "b": Ending(JobState.FAILED, now, error=other.error),
        }

    async def test_how_a_job_ended_that_others_removed_as_it_failed_is_known(self, workshop: Workshop) -> None:
        await workshop.add("a", remove_on_fail=True)
        await workshop.jobs.move_to_failed("a", "enough")
        await workshop.fetched("b", remove_on_fail=True)
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(0)
        endings = await workshop.jobs.find_endings(["a", "b"])
        told = {job_id: (one.state, one.error and one.error.type) for job_id, one in endings.items()}
        assert told == {"a": (JobState.FAILED, "MovedToFailed"), "b": (JobState.FAILED, "Stalled")}

    async def test_a_job_that_was_removed_by_hand_has_no_ending(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        await workshop.jobs.remove_job("a")
        assert await workshop.jobs.find_endings(["a"]) == {}

    async def test_the_end_is_known_of_the_last_job_of_an_id(self, workshop: Workshop) -> None:
        for command in (Command.FAIL, Command.COMPLETE):
            job = await workshop.fetched("a", remove_on_fail=True, remove_on_complete=True)
            assert await workshop.settle(ending(lock_of(job), command, is_removed=True)) == []
        assert (await workshop.jobs.find_endings(["a"]))["a"].state is JobState.COMPLETED

    async def test_the_same_settlement_of_a_removed_job_is_not_refused(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=True)
        settlement = ending(lock_of(job), Command.COMPLETE, is_removed=True)
        await workshop.settle(settlement)
        assert await workshop.settle(settlement) == []
        assert await workshop.state("a") is None

    async def test_the_same_settlement_of_a_removed_job_does_not_touch_a_new_one_of_its_id(
        self, workshop: Workshop
    ) -> None:
        job = await workshop.fetched("a", remove_on_complete=True)
        settlement = ending(lock_of(job), Command.COMPLETE, is_removed=True)
        await workshop.settle(settlement)
        await workshop.jobs.save_job(workshop.new("a", payload=b"[2]"))
        await workshop.settle(settlement)
        assert await workshop.state("a") is JobState.WAITING

    async def test_another_settlement_under_the_same_token_is_refused(self, workshop: Workshop) -> None:
        job = await workshop.finished("a")
        done = await workshop.job("a")
        others = (Command.FAIL, Command.RETRY, Command.DELAY, Command.STOP, Command.RECLAIM, Command.GIVE_UP)
        for command in others:
            report = await workshop.jobs.settle_jobs([ending(lock_of(job), command)])
            assert list(report.refused) == [Refusal("a", token_of(job), RefusalReason.LOCK_LOST)]
        assert await workshop.job("a") == done

    async def test_a_settlement_of_no_job_is_refused_as_not_found(self, workshop: Workshop) -> None:
        lock = stranger("nobody")
        report = await workshop.jobs.settle_jobs([ending(lock, Command.COMPLETE)])
        assert list(report.refused) == [Refusal("nobody", lock.token, RefusalReason.NOT_FOUND)]

    async def test_one_refused_settlement_does_not_stop_the_others(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        a, b, c = await (await workshop.hand()).fetch()
        await workshop.jobs.cancel_job("b", "enough")
        refused = await workshop.settle(
            ending(lock_of(a), Command.COMPLETE),
            ending(stranger("nobody"), Command.COMPLETE),
            ending(lock_of(b), Command.COMPLETE),
            ending(lock_of(c), Command.FAIL),
        )
        assert sorted(refused) == ["b", "nobody"]
        assert await workshop.state("a") is JobState.COMPLETED
        assert await workshop.state("b") is JobState.CANCELLED
        assert await workshop.state("c") is JobState.FAILED

    async def test_every_end_fits_into_one_call(self, workshop: Workshop) -> None:
        ends = (Command.COMPLETE, Command.FAIL, Command.RETRY, Command.DELAY, Command.STOP)
        commands = (*ends, Command.RECLAIM, Command.GIVE_UP)
        await workshop.add(*commands)
        jobs = await (await workshop.hand()).fetch()
        assert await workshop.settle(*(ending(lock_of(job), Command(job.id)) for job in jobs)) == []
        assert [await workshop.state(command) for command in commands] == [
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.WAITING,
            JobState.DELAYED,
            JobState.CANCELLED,
            JobState.WAITING,
            JobState.FAILED,
        ]

    async def test_of_two_ends_of_one_run_the_first_counts_whatever_else_ends_with_it(self, workshop: Workshop) -> None:
        await workshop.add("other", "job")
        other, job = [lock_of(job) for job in await (await workshop.hand()).fetch()]
        ends = [ending(other, Command.COMPLETE), ending(job, Command.FAIL), ending(job, Command.COMPLETE)]
        assert await workshop.settle(*ends) == ["job"]
        assert (await workshop.job("job")).state is JobState.FAILED

    async def test_settling_nothing_refuses_nothing(self, workshop: Workshop) -> None:
        report = await workshop.jobs.settle_jobs([])
        assert (list(report.refused), list(report.jobs)) == ([], [])

    async def test_a_rerun_clears_what_the_last_run_left(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.FAIL))
        workshop.clock.advance(5)
        rerun = await workshop.jobs.rerun_job("a")
        assert rerun == await workshop.job("a")
        assert (rerun.state, rerun.attempts_made, rerun.stalled_count) == (JobState.WAITING, 0, 0)
        assert (rerun.result, rerun.error, rerun.progress, rerun.finished_at) == (None, None, None, None)
        assert (rerun.payload, rerun.run_at) == (b"{}", workshop.clock.now())

    async def test_a_rerun_may_bring_another_payload(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        assert (await workshop.jobs.rerun_job("a", b'{"n": 2}')).payload == b'{"n": 2}'
        assert (await (await workshop.hand()).fetch_one()).payload == b'{"n": 2}'

    async def test_a_cancelled_job_says_why(self, workshop: Workshop) -> None:
        await workshop.add("a")
        workshop.clock.advance(5)
        cancelled = await workshop.jobs.cancel_job("a", "sold out")
        assert cancelled == await workshop.job("a")
        assert cancelled.state is JobState.CANCELLED
        assert "sold out" in str(cancelled.error)
        assert cancelled.finished_at == workshop.clock.now()
