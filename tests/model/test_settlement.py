"""What becomes of a job, by outcome, attempts and back-off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError, ConveyorInternalError
from conveyor.model.job import AttemptOutcome, JobData
from conveyor.model.locks import LockToken
from conveyor.model.options import JobOptions
from conveyor.model.outcomes import Cancel, Completed, Failed, Outcome, Retry, Snooze
from conveyor.model.retry import by_name, fixed
from conveyor.model.settlement import settle, settle_completed, settle_stalled
from conveyor.model.states import Command, JobState, legal_commands

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TOKEN = LockToken("ab" * 16, 3)


def running(attempts_made: int = 0, **options: object) -> JobData:
    return JobData(
        id="a",
        queue_name="orders",
        name="pack",
        payload=b"{}",
        options=JobOptions(**options),  # type: ignore[arg-type]  # the tests name real options
        state=JobState.ACTIVE,
        priority=0,
        attempts_made=attempts_made,
        stalled_count=0,
        created_at=NOW,
        run_at=NOW,
        token=TOKEN,
    )


def test_a_settlement_is_under_the_lock_of_its_run() -> None:
    settlement = settle(running(), Completed(), result=None, jitter=0)
    assert (settlement.job_id, settlement.queue_name, settlement.token) == ("a", "orders", TOKEN)


def test_a_completed_run_brings_its_result() -> None:
    settlement = settle(running(), Completed(1), result=b"1", jitter=0)
    assert (settlement.command, settlement.outcome) == (Command.COMPLETE, AttemptOutcome.COMPLETED)
    assert (settlement.result, settlement.error, settlement.is_counted) == (b"1", None, True)


def test_the_short_way_to_complete_is_the_same_way() -> None:
    job = running(remove_on_complete=True)
    assert settle_completed(job, b"1") == settle(job, Completed(), result=b"1", jitter=0.5)


@pytest.mark.parametrize("is_removed", [True, False])
def test_removal_is_decided_by_how_the_job_ended(is_removed: bool) -> None:
    completed = settle(running(remove_on_complete=is_removed), Completed(), result=None, jitter=0)
    failed = settle(running(remove_on_fail=is_removed), Failed("no", retry=False), result=None, jitter=0)
    assert completed.is_removed is failed.is_removed is is_removed
    assert not settle(running(remove_on_fail=True), Completed(), result=None, jitter=0).is_removed
    retried = settle(running(remove_on_fail=True, attempts=2), Failed("no"), result=None, jitter=0)
    assert not retried.is_removed


def test_a_duration_to_be_kept_is_that_of_how_the_job_ended() -> None:
    day, week = timedelta(days=1), timedelta(days=7)
    job = running(remove_on_complete=day, remove_on_fail=week)
    completed = settle(job, Completed(), result=None, jitter=0)
    failed = settle(job, Failed("no", retry=False), result=None, jitter=0)
    assert [(one.is_removed, one.kept_for) for one in (completed, failed)] == [(False, day), (False, week)]
    assert settle_completed(job, None) == completed
    others = [settle(job, Cancel("enough"), result=None, jitter=0), settle(job, Snooze("1s"), result=None, jitter=0)]
    others.append(settle(running(remove_on_complete=True), Completed(), result=None, jitter=0))
    assert [one.kept_for for one in others] == [None, None, None]


@pytest.mark.parametrize(
    ("attempts", "attempts_made", "command"),
    [
        (1, 0, Command.FAIL),
        (2, 0, Command.RETRY),
        (2, 1, Command.FAIL),
        (3, 1, Command.RETRY),
        (3, 2, Command.FAIL),
        (3, 7, Command.FAIL),
    ],
)
@pytest.mark.parametrize("outcome", [Failed(ValueError("no")), Retry()])
def test_a_failure_is_retried_while_attempts_are_left(
    attempts: int, attempts_made: int, command: Command, outcome: Outcome
) -> None:
    settlement = settle(running(attempts_made, attempts=attempts), outcome, result=None, jitter=0)
    assert settlement.command is command
    assert settlement.is_counted
    assert settlement.outcome is (AttemptOutcome.FAILED if command is Command.FAIL else AttemptOutcome.RETRIED)


def test_a_failure_for_good_is_not_retried() -> None:
    settlement = settle(running(attempts=5), Failed(ValueError("no"), retry=False), result=None, jitter=0)
    assert (settlement.command, settlement.outcome) == (Command.FAIL, AttemptOutcome.FAILED)
    assert str(settlement.error) == "ValueError: no"


def test_a_failure_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="small") as caught:
        raise ValueError("the box was too small")
    settlement = settle(running(), Failed(caught.value), result=None, jitter=0)
    assert settlement.error is not None
    assert "test_settlement.py" in settlement.error.traceback


def test_a_retry_says_when_and_why() -> None:
    settlement = settle(running(attempts=2), Retry(after="1 minute", reason="busy"), result=None, jitter=0)
    assert (settlement.command, settlement.delay) == (Command.DELAY, timedelta(minutes=1))
    assert settlement.error is not None
    assert settlement.error.message == "busy"


def test_a_retry_after_nothing_is_at_once_whatever_the_backoff() -> None:
    job = running(attempts=2, backoff=fixed(60))
    assert settle(job, Retry(after=timedelta(0)), result=None, jitter=0).command is Command.RETRY
    assert settle(job, Retry(), result=None, jitter=0).delay == timedelta(seconds=60)


def test_a_failure_waits_as_the_backoff_says() -> None:
    settlement = settle(running(attempts=2, backoff=fixed("30s")), Failed("no"), result=None, jitter=0)
    assert (settlement.command, settlement.delay) == (Command.DELAY, timedelta(seconds=30))


def test_the_backoff_is_asked_for_the_failures_so_far() -> None:
    asked: list[int] = []

    def curve(failures: int) -> timedelta:
        asked.append(failures)
        return timedelta(seconds=failures)

    job = running(2, attempts=9, backoff=by_name("mine"))
    assert settle(job, Failed("no"), result=None, jitter=0, curves={"mine": curve}).delay == timedelta(seconds=3)
    assert asked == [3]


def test_an_unknown_curve_is_named() -> None:
    job = running(attempts=2, backoff=by_name("mine"))
    with pytest.raises(ConfigurationError, match="mine"):
        settle(job, Failed("no"), result=None, jitter=0)


@pytest.mark.parametrize(("seconds", "command"), [(0, Command.RETRY), (60, Command.DELAY)])
@pytest.mark.parametrize("attempts_made", [0, 5])
def test_a_snooze_is_never_counted_and_never_the_last(seconds: int, command: Command, attempts_made: int) -> None:
    outcome = Snooze(timedelta(seconds=seconds))
    settlement = settle(running(attempts_made), outcome, result=None, jitter=0)
    assert (settlement.command, settlement.outcome) == (command, AttemptOutcome.SNOOZED)
    assert (settlement.is_counted, settlement.error) == (False, None)
    assert settlement.delay == timedelta(seconds=seconds)


def test_a_cancel_stops_the_job_and_says_why() -> None:
    settlement = settle(running(attempts=5), Cancel("sold out"), result=None, jitter=0)
    assert (settlement.command, settlement.outcome) == (Command.STOP, AttemptOutcome.CANCELLED)
    assert str(settlement.error) == "Cancelled: sold out"


@pytest.mark.parametrize(
    ("stalls", "command"), [(0, Command.RECLAIM), (2, Command.RECLAIM), (3, Command.GIVE_UP), (4, Command.GIVE_UP)]
)
def test_a_run_that_stalls_once_too_often_fails_its_job(stalls: int, command: Command) -> None:
    job = running(attempts=1, remove_on_fail="1h")
    job.stalled_count = stalls
    settlement = settle_stalled(job, OSError("it died"), 3)
    assert (settlement.command, settlement.outcome) == (command, AttemptOutcome.STALLED)
    assert not settlement.is_counted
    assert str(settlement.error).startswith("OSError: it died")
    is_last = command is Command.GIVE_UP
    assert ("max_stalled=3" in str(settlement.error)) == is_last
    assert settlement.kept_for == (timedelta(hours=1) if is_last else None)


def test_a_stall_too_many_removes_a_job_that_asked_for_it() -> None:
    assert settle_stalled(running(remove_on_fail=True), OSError("it died"), 0).is_removed
    assert not settle_stalled(running(remove_on_fail=True), OSError("it died"), 1).is_removed


def test_settling_without_a_lock_is_our_bug() -> None:
    job = running()
    job.token = None
    with pytest.raises(ConveyorInternalError):
        settle(job, Completed(), result=None, jitter=0)


OUTCOMES = st.one_of(
    st.just(Completed()),
    st.builds(Failed, st.builds(ValueError, st.text()), st.booleans()),
    st.builds(Retry, st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=30)))),
    st.builds(Snooze, st.timedeltas(timedelta(0), timedelta(days=30))),
    st.builds(Cancel, st.text()),
)


@settings(max_examples=100)
@given(outcome=OUTCOMES, attempts=st.integers(1, 5), made=st.integers(0, 5), jitter=st.floats(0, 0.999))
def test_every_settlement_is_one_a_store_can_apply(outcome: Outcome, attempts: int, made: int, jitter: float) -> None:
    settlement = settle(running(made, attempts=attempts), outcome, result=None, jitter=jitter)
    assert settlement.command in legal_commands(JobState.ACTIVE)
    assert (settlement.command is Command.DELAY) == (settlement.delay > timedelta(0))
    assert settlement.is_counted == (settlement.outcome is not AttemptOutcome.SNOOZED)
    is_last = made + 1 >= attempts
    assert not (is_last and settlement.outcome is AttemptOutcome.RETRIED)


def test_a_retry_at_once_costs_an_attempt_in_a_limited_queue_too() -> None:
    at_once = settle(running(attempts=2), Retry(after=0), result=None, jitter=0, is_limited=True)
    assert (at_once.command, at_once.is_counted) == (Command.RETRY, True)
    assert not settle(running(attempts=2), Retry(after=1), result=None, jitter=0, is_limited=True).is_counted
