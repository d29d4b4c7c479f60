"""From an outcome to what the store is asked to do: every rule of attempts and retries is here."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from attrs import define, evolve, frozen

from conveyor.errors import ConveyorInternalError
from conveyor.model.error_groups import fingerprinted
from conveyor.model.job import AttemptOutcome, ErrorInfo, JobData, error_info
from conveyor.model.outcomes import Cancel, Completed, Failed, Outcome, Retry, Snooze, WaitForChildren
from conveyor.model.retention import kept_for
from conveyor.model.retry import retry_delay
from conveyor.model.states import Command
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.locks import LockToken
    from conveyor.model.options import JobOptions
    from conveyor.model.retry import Curve

__all__ = [
    "Refusal",
    "RefusalReason",
    "SettleReport",
    "Settlement",
    "as_discarded",
    "is_another_attempt",
    "settle",
    "settle_completed",
    "settle_stalled",
    "stands_as",
]

NO_WAIT: Final = timedelta(0)
_ANOTHER: Final = frozenset({Command.RETRY, Command.DELAY})


@define
class Settlement:
    """The end of one run, as the store applies it under the run's lock.

    Treat it as frozen: it is not, because it is made once per job.

    Attributes:
        command: COMPLETE, FAIL, RETRY (again at once), DELAY (again after `delay`), STOP or WAIT_FOR_CHILDREN; where
            what ran the job died and its worker lives, RECLAIM (again, at its old place) or GIVE_UP (it failed).
        outcome: what the attempt's history says. STALLED, which goes with RECLAIM and GIVE_UP, counts one stall.
        is_counted: whether the run counts as an attempt.
        delay: the wait before the next run, counted by the store's clock.
        is_removed: keep no record of the job.
        flow_id: the flow that the job belongs to, or is about to wait in; None: there is none.
        kept_for: keep its record at most so long, counted from its end by the store's clock; None: as retention says.
        name: the job's name. It and the two times are there for the metrics alone.
        wait_seconds: how long the job had been due when it was fetched.
        run_seconds: how long its handler ran, by the clock of who ran it.
    """

    job_id: str
    queue_name: str
    token: LockToken
    command: Command
    outcome: AttemptOutcome
    is_counted: bool = True
    result: bytes | None = None
    error: ErrorInfo | None = None
    delay: timedelta = NO_WAIT
    is_removed: bool = False
    kept_for: timedelta | None = None
    flow_id: str | None = None
    name: str = ""
    wait_seconds: float = 0.0
    run_seconds: float = 0.0


class RefusalReason(StrEnum):
    """Why a store did not apply what a run wrote."""

    LOCK_LOST = "lock_lost"
    NOT_FOUND = "not_found"


@frozen
class Refusal:
    """One write of a run that was not applied: the run owns the job no more, or the job is gone."""

    job_id: str
    token: LockToken
    reason: RefusalReason


@frozen
class SettleReport:
    """What a settle call did: the settlements refused, and the jobs fetched in the same round trip."""

    refused: Sequence[Refusal] = ()
    jobs: Sequence[JobData] = ()


def settle_completed(job: JobData, result: bytes | None) -> Settlement:
    """Return the settlement of a run that completed: the short way, for the hot path."""
    removal = job.options.remove_on_complete
    return Settlement(
        job.id,
        job.queue_name,
        _token(job),
        Command.COMPLETE,
        AttemptOutcome.COMPLETED,
        result=result,
        is_removed=removal is True,
        kept_for=kept_for(removal),
        flow_id=job.options.flow_id,
        name=job.name,
        wait_seconds=_wait_seconds(job),
    )


def settle(
    job: JobData,
    outcome: Outcome,
    *,
    result: bytes | None,
    jitter: float,
    curves: Mapping[str, Curve] | None = None,
    is_limited: bool = False,
) -> Settlement:
    """Decide what becomes of a job whose run ended with this outcome.

    Args:
        job: the job as it was fetched.
        outcome: how the run ended.
        result: the encoded value, where the outcome is `Completed`.
        jitter: a random number from 0 (inclusive) to 1 (exclusive).
        curves: the named back-off curves of this program.
        is_limited: its queue has limits, so a `Retry` that waits costs no attempt: the handler ran into a limit.

    Raises:
        ConfigurationError: the job's named back-off curve is not registered here.
    """
    match outcome:
        case Completed():
            return settle_completed(job, result)
        case Snooze(delay=delay):
            return _again(job, delay, AttemptOutcome.SNOOZED, None)
        case WaitForChildren():
            return _wait_for_children(job)
        case Cancel(reason=reason):
            return _stop(job, ErrorInfo("Cancelled", clean_text(reason)))
        case Retry(after=after, reason=reason):
            return _tried_again(
                job, ErrorInfo("Retry", clean_text(reason)), after, jitter, curves, is_limited=is_limited
            )
        case Failed(error=error, retry=True):
            return _failed(job, error_info(error), None, jitter, curves)
        case Failed(error=error):
            return _fail(job, error_info(error))
        case _:
            assert_never(outcome)


def settle_stalled(job: JobData, error: BaseException, max_stalled: int) -> Settlement:
    """Return the settlement of a run that took down what it ran in, though not its worker: a stall with a reason.

    As with jobs whose workers died, the job fails once it stalled more than `max_stalled` times.
    """
    stalls = job.stalled_count + 1
    info = error_info(error)
    if stalls <= max_stalled:
        return _stalled(job, Command.RECLAIM, info)
    reason = f"{info.message} ({stalls} times, more often than max_stalled={max_stalled})"
    removal = job.options.remove_on_fail
    return evolve(
        _stalled(job, Command.GIVE_UP, fingerprinted(evolve(info, message=reason), job.queue_name, job.name)),
        is_removed=removal is True,
        kept_for=kept_for(removal),
    )


def as_discarded(settlement: Settlement, options: JobOptions) -> Settlement:
    """Return how a run ends that asked for another attempt of a job which is to have none: the job fails."""
    error = settlement.error
    return evolve(
        settlement,
        command=Command.FAIL,
        outcome=AttemptOutcome.FAILED,
        error=error if error is None else fingerprinted(error, settlement.queue_name, settlement.name),
        delay=NO_WAIT,
        flow_id=options.flow_id,
        is_removed=options.remove_on_fail is True,
        kept_for=kept_for(options.remove_on_fail),
    )


def is_another_attempt(settlement: Settlement) -> bool:
    """Return whether this end of a run lets the job try again: what `discard` forbids."""
    return settlement.is_counted and settlement.command in _ANOTHER


def stands_as(settlement: Settlement) -> tuple[AttemptOutcome, ...]:
    """Return what history may say of the run that this settlement ended: by it a repeated settlement is known."""
    outcomes = (settlement.outcome,)
    return (*outcomes, AttemptOutcome.FAILED) if is_another_attempt(settlement) else outcomes


def _failed(
    job: JobData, error: ErrorInfo, after: timedelta | None, jitter: float, curves: Mapping[str, Curve] | None
) -> Settlement:
    failures = job.attempts_made + 1
    if failures >= job.options.attempts:
        return _fail(job, error)
    delay = after if after is not None else retry_delay(job.options.backoff, failures, jitter=jitter, curves=curves)
    return _again(job, delay, AttemptOutcome.RETRIED, error)


def _tried_again(
    job: JobData,
    error: ErrorInfo,
    after: timedelta | None,
    jitter: float,
    curves: Mapping[str, Curve] | None,
    *,
    is_limited: bool,
) -> Settlement:
    # At once, and uncounted, it would be run again in a loop.
    if is_limited and after is not None and after > NO_WAIT:
        return _again(job, after, AttemptOutcome.RETRIED, error, is_counted=False)
    return _failed(job, error, after, jitter, curves)


def _again(
    job: JobData, delay: timedelta, outcome: AttemptOutcome, error: ErrorInfo | None, *, is_counted: bool = True
) -> Settlement:
    return Settlement(
        job.id,
        job.queue_name,
        _token(job),
        Command.DELAY if delay > NO_WAIT else Command.RETRY,
        outcome,
        is_counted=is_counted and outcome is AttemptOutcome.RETRIED,
        error=error,
        delay=delay,
        flow_id=job.options.flow_id,
        name=job.name,
        wait_seconds=_wait_seconds(job),
    )


def _wait_for_children(job: JobData) -> Settlement:
    return Settlement(
        job.id,
        job.queue_name,
        _token(job),
        Command.WAIT_FOR_CHILDREN,
        AttemptOutcome.WAITED,
        is_counted=False,
        flow_id=job.options.flow_id or job.id,
        name=job.name,
        wait_seconds=_wait_seconds(job),
    )


def _fail(job: JobData, error: ErrorInfo) -> Settlement:
    removal = job.options.remove_on_fail
    return Settlement(
        job.id,
        job.queue_name,
        _token(job),
        Command.FAIL,
        AttemptOutcome.FAILED,
        error=fingerprinted(error, job.queue_name, job.name),
        is_removed=removal is True,
        kept_for=kept_for(removal),
        flow_id=job.options.flow_id,
        name=job.name,
        wait_seconds=_wait_seconds(job),
    )


def _stalled(job: JobData, command: Command, error: ErrorInfo) -> Settlement:
    return Settlement(
        job.id,
        job.queue_name,
        _token(job),
        command,
        AttemptOutcome.STALLED,
        is_counted=False,
        error=error,
        flow_id=job.options.flow_id,
        name=job.name,
        wait_seconds=_wait_seconds(job),
    )


def _stop(job: JobData, error: ErrorInfo) -> Settlement:
    return Settlement(
        job.id,
        job.queue_name,
        _token(job),
        Command.STOP,
        AttemptOutcome.CANCELLED,
        error=error,
        flow_id=job.options.flow_id,
        name=job.name,
        wait_seconds=_wait_seconds(job),
    )


def _wait_seconds(job: JobData) -> float:
    # A job that somebody promoted while it was fetched may have started before its time.
    return max((job.started_at - job.run_at).total_seconds(), 0.0) if job.started_at is not None else 0.0


def _token(job: JobData) -> LockToken:
    if job.token is None:
        raise ConveyorInternalError(f"job {job.id!r} is being settled without a lock")
    return job.token
