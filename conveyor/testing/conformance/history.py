"""History: attempts, log lines and progress."""

from __future__ import annotations

import pytest

from conveyor.model.job import Attempt, AttemptOutcome, ErrorInfo, LogEntry, Progress, ProgressReport
from conveyor.model.locks import LockToken
from conveyor.model.queries import Want
from conveyor.model.retention import ATTEMPTS_KEPT, LOG_LINES_KEPT, TRIM_EVERY
from conveyor.model.settlement import Refusal, RefusalReason
from conveyor.model.states import Command
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import BROKEN, QUEUE, Workshop, ending, lock_of, stranger, token_of

__all__ = ["HistoryConformance"]


class HistoryConformance(StoreKit):
    """What a job went through can be read afterwards."""

    async def test_an_attempt_tells_everything_of_its_run(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        started_at = workshop.clock.now()
        ended_at = workshop.clock.advance(7)
        await workshop.settle(ending(lock_of(job), Command.FAIL, error=BROKEN))
        expected = Attempt(1, token_of(job), started_at, ended_at, AttemptOutcome.FAILED, BROKEN, "workshop", 1)
        assert list(await workshop.jobs.get_attempts("a")) == [expected]

    async def test_an_attempt_tells_where_it_ran_though_its_worker_is_gone(self, workshop: Workshop) -> None:
        await workshop.finished("a", Command.RETRY)
        hand = await workshop.hand()
        await workshop.finish(await hand.fetch_one())
        await workshop.sessions.close(hand.id)
        attempts = await workshop.jobs.get_attempts("a")
        assert [(attempt.hostname, attempt.pid) for attempt in attempts] == [("workshop", 1)] * 2
        assert attempts[1].worker_id == hand.id != attempts[0].worker_id

    async def test_a_line_tells_in_which_run_it_was_written(self, workshop: Workshop) -> None:
        first = await workshop.fetched("a")
        await workshop.jobs.append_logs([LogEntry("a", "begun", lock=lock_of(first)), LogEntry("a", "looked at")])
        await workshop.settle(ending(lock_of(first), Command.DELAY, is_snoozed=True))
        await workshop.jobs.append_logs([LogEntry("a", "between")])
        await workshop.jobs.promote_job("a")
        second = await (await workshop.hand()).fetch_one()
        await workshop.jobs.append_logs([LogEntry("a", "begun again", lock=lock_of(second))])
        lines = await workshop.jobs.get_logs("a")
        assert [(line.message, line.lock, line.attempt) for line in lines] == [
            ("begun", lock_of(first), 1),
            ("looked at", lock_of(first), 1),
            ("between", None, None),
            ("begun again", lock_of(second), 1),
        ]

    async def test_the_last_attempts_are_kept_and_no_end_of_older_ones(self, workshop: Workshop) -> None:
        total = ATTEMPTS_KEPT + 3 * TRIM_EVERY
        await workshop.add("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        for _ in range(total):
            report = await hand.settle_and_fetch(ending(lock_of(job), Command.RETRY), Want(QUEUE, 1))
            (job,) = report.jobs
        numbers = [attempt.number for attempt in await workshop.jobs.get_attempts("a")]
        assert numbers == list(range(total - len(numbers) + 1, total + 1)), "the oldest go, and no other"
        assert ATTEMPTS_KEPT <= len(numbers) < total

    async def test_the_last_log_lines_are_kept_and_no_end_of_older_ones(self, workshop: Workshop) -> None:
        total = LOG_LINES_KEPT + 3 * TRIM_EVERY
        await workshop.add("a")
        lines = [LogEntry("a", str(number)) for number in range(total)]
        for start in range(0, total, 1000):
            assert list(await workshop.jobs.append_logs(lines[start : start + 1000])) == []
        await workshop.jobs.append_logs([LogEntry("a", str(number)) for number in range(total, total + TRIM_EVERY)])
        kept = [int(entry.message) for entry in await workshop.jobs.get_logs("a", end=2 * total)]
        total += TRIM_EVERY
        assert kept == list(range(total - len(kept), total)), "the oldest go, and no other"
        assert LOG_LINES_KEPT <= len(kept) < total

    async def test_the_run_going_on_is_not_among_the_attempts(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        assert list(await workshop.jobs.get_attempts("a")) == []

    async def test_attempts_are_told_oldest_first(self, workshop: Workshop) -> None:
        await workshop.add("a")
        for command in (Command.RETRY, Command.RETRY, Command.COMPLETE):
            job = await (await workshop.hand()).fetch_one()
            workshop.clock.advance(1)
            await workshop.finish(job, command)
        attempts = await workshop.jobs.get_attempts("a")
        assert [(attempt.number, attempt.outcome) for attempt in attempts] == [
            (1, AttemptOutcome.RETRIED),
            (2, AttemptOutcome.RETRIED),
            (3, AttemptOutcome.COMPLETED),
        ]
        assert attempts[-1].error is None

    async def test_a_number_repeats_after_a_snooze(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.RETRY, is_snoozed=True))
        await workshop.finish(await (await workshop.hand()).fetch_one())
        attempts = await workshop.jobs.get_attempts("a")
        assert [(attempt.number, attempt.outcome) for attempt in attempts] == [
            (1, AttemptOutcome.SNOOZED),
            (1, AttemptOutcome.COMPLETED),
        ]

    @pytest.mark.parametrize(
        ("command", "outcome"),
        [
            (Command.COMPLETE, AttemptOutcome.COMPLETED),
            (Command.FAIL, AttemptOutcome.FAILED),
            (Command.RETRY, AttemptOutcome.RETRIED),
            (Command.DELAY, AttemptOutcome.RETRIED),
            (Command.STOP, AttemptOutcome.CANCELLED),
        ],
    )
    async def test_every_end_is_told(self, workshop: Workshop, command: Command, outcome: AttemptOutcome) -> None:
        await workshop.finished("a", command)
        assert await workshop.outcomes("a") == [outcome]

    async def test_a_released_run_is_no_attempt(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.release_locks([lock_of(job)])
        assert await workshop.outcomes("a") == []

    async def test_a_rerun_keeps_attempts_and_logs(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.append_logs([LogEntry("a", "hello", lock=lock_of(job))])
        await workshop.finish(job)
        await workshop.jobs.rerun_job("a")
        await workshop.finish(await (await workshop.hand()).fetch_one(), Command.FAIL)
        assert await workshop.outcomes("a") == [AttemptOutcome.COMPLETED, AttemptOutcome.FAILED]
        assert [line.message for line in await workshop.jobs.get_logs("a")] == ["hello"]

    async def test_a_removed_job_leaves_no_history(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.append_logs([LogEntry("a", "hello", lock=lock_of(job))])
        await workshop.finish(job)
        await workshop.jobs.remove_job("a")
        assert list(await workshop.jobs.get_attempts("a")) == []
        assert list(await workshop.jobs.get_logs("a")) == []

    async def test_a_new_job_of_a_removed_id_has_no_history(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        await workshop.jobs.remove_job("a")
        await workshop.add("a")
        assert list(await workshop.jobs.get_attempts("a")) == []

    async def test_no_job_has_no_history(self, workshop: Workshop) -> None:
        assert list(await workshop.jobs.get_attempts("nobody")) == []
        assert list(await workshop.jobs.get_logs("nobody")) == []
        assert await workshop.jobs.clear_logs("nobody") == 0

    async def test_log_lines_keep_their_order_time_and_attempt(self, workshop: Workshop) -> None:
        await workshop.finished("a", Command.RETRY)
        job = await (await workshop.hand()).fetch_one()
        first_at = workshop.clock.advance(1)
        entries = [LogEntry("a", text, lock=lock_of(job)) for text in ("one", "two", "ünïcode 🚚\nsecond line")]
        assert list(await workshop.jobs.append_logs(entries[:2])) == []
        second_at = workshop.clock.advance(1)
        assert list(await workshop.jobs.append_logs(entries[2:])) == []
        lines = await workshop.jobs.get_logs("a")
        assert [(line.job_id, line.message, line.at, line.attempt) for line in lines] == [
            ("a", "one", first_at, 2),
            ("a", "two", first_at, 2),
            ("a", "ünïcode 🚚\nsecond line", second_at, 2),
        ]

    async def test_log_lines_are_read_in_parts(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await workshop.jobs.append_logs([LogEntry("a", str(number)) for number in range(6)])
        lines = await workshop.jobs.get_logs("a", start=2, end=4)
        assert [line.message for line in lines] == ["2", "3"]
        assert [line.message for line in await workshop.jobs.get_logs("a", start=5)] == ["5"]
        assert list(await workshop.jobs.get_logs("a", start=6, end=7)) == []

    async def test_an_operator_logs_without_a_lock(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        assert list(await workshop.jobs.append_logs([LogEntry("a", "looked at it")])) == []
        assert [line.message for line in await workshop.jobs.get_logs("a")] == ["looked at it"]

    async def test_a_line_for_no_job_is_refused(self, workshop: Workshop) -> None:
        await workshop.add("a")
        refused = await workshop.jobs.append_logs([LogEntry("nobody", "boo"), LogEntry("a", "hello")])
        assert list(refused) == [Refusal("nobody", LockToken("", 0), RefusalReason.NOT_FOUND)]
        assert [line.message for line in await workshop.jobs.get_logs("a")] == ["hello"]

    async def test_one_refused_line_does_not_stop_the_others(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        forged = stranger("a")
        entries = [LogEntry("a", "boo", lock=forged), LogEntry("a", "hello", lock=lock_of(job))]
        assert list(await workshop.jobs.append_logs(entries)) == [Refusal("a", forged.token, RefusalReason.LOCK_LOST)]
        assert [line.message for line in await workshop.jobs.get_logs("a")] == ["hello"]

    async def test_clearing_logs_tells_how_many_there_were(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        await workshop.jobs.append_logs([LogEntry(job_id, "hello") for job_id in "aab"])
        assert await workshop.jobs.clear_logs("a") == 2
        assert list(await workshop.jobs.get_logs("a")) == []
        assert len(await workshop.jobs.get_logs("b")) == 1

    @pytest.mark.parametrize(
        "progress", [Progress(0), Progress(1.5, 3), Progress(10, None, "ünïcode 🚚"), Progress(7, 10.25, "")]
    )
    async def test_progress_comes_back_equal(self, workshop: Workshop, progress: Progress) -> None:
        job = await workshop.fetched("a")
        assert list(await workshop.jobs.set_progress([ProgressReport(lock_of(job), progress)])) == []
        assert (await workshop.job("a")).progress == progress

    async def test_the_last_report_of_a_run_holds(self, workshop: Workshop) -> None:
        lock = lock_of(await workshop.fetched("a"))
        await workshop.jobs.set_progress([ProgressReport(lock, Progress(number)) for number in range(4)])
        assert (await workshop.job("a")).progress == Progress(3)
        await workshop.jobs.set_progress([ProgressReport(lock, Progress(1, 2))])
        assert (await workshop.job("a")).progress == Progress(1, 2)

    async def test_one_refused_report_does_not_stop_the_others(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        nobody = stranger("nobody")
        reports = [ProgressReport(nobody, Progress(1)), ProgressReport(lock_of(job), Progress(2))]
        assert list(await workshop.jobs.set_progress(reports)) == [
            Refusal("nobody", nobody.token, RefusalReason.NOT_FOUND)
        ]
        assert (await workshop.job("a")).progress == Progress(2)

    async def test_progress_outlives_the_run(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.set_progress([ProgressReport(lock_of(job), Progress(9, 10))])
        await workshop.finish(job)
        assert (await workshop.job("a")).progress == Progress(9, 10)

    async def test_a_long_traceback_comes_back_equal(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        error = ErrorInfo("ValueError", "ünïcode 🚚 'quoted' \"twice\" \\ %s", "line\n" * 3000)
        await workshop.settle(ending(lock_of(job), Command.FAIL, error=error))
        assert (await workshop.job("a")).error == error
        assert (await workshop.jobs.get_attempts("a"))[0].error == error
