"""Settling jobs in SQLite: how runs ended, written under their locks."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor._builtin.sqlite.metrics import count_runs
from conveyor._builtin.sqlite.packing import as_json, lay_out
from conveyor._builtin.sqlite.reading import find_job
from conveyor._builtin.sqlite.removing import delete_jobs, forget_removed
from conveyor._builtin.sqlite.rows import error_column, micros_after
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import is_known, tell_of_runs
from conveyor.model.events import NotificationKind
from conveyor.model.job import AttemptOutcome
from conveyor.model.metrics import tally
from conveyor.model.retention import ATTEMPTS_KEPT, TRIM_EVERY
from conveyor.model.settlement import (
    Refusal,
    RefusalReason,
    SettleReport,
    as_discarded,
    is_another_attempt,
    stands_as,
)
from conveyor.model.states import SETTLED_STATES, TRANSITIONS, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import JobData
    from conveyor.model.locks import LockToken
    from conveyor.model.settlement import Settlement
    from conveyor.model.states import Command

__all__ = ["refusal", "settle_and_fetch", "settle_jobs"]

_LockRow: TypeAlias = tuple[str, str, int]
# What runs have in common that ended alike; the last says whether there is a result or an error.
_Ending: TypeAlias = "tuple[LockToken, Command, AttemptOutcome, bool, bool]"

# Plain strings: sqlite3 looks for an adapter for each value of any other type, even of a subclass.
_OUTCOMES: Final = {outcome: outcome.value for outcome in AttemptOutcome}
_STATES: Final = {state: state.value for state in JobState}
_TARGETS: Final = {
    command: target
    for (state, command), target in TRANSITIONS.items()
    if state is JobState.ACTIVE and target is not None
}
_HINTS: Final = {JobState.WAITING: NotificationKind.ADDED, JobState.DELAYED: NotificationKind.DELAYED}


def settle_and_fetch(
    transaction: Transaction, settlements: Sequence[Settlement], fetch: Callable[[Transaction], Sequence[JobData]]
) -> SettleReport:
    """Apply settlements, then fetch the next jobs."""
    refused = settle_jobs(transaction, settlements).refused
    return SettleReport(refused, fetch(transaction))


def settle_jobs(transaction: Transaction, settlements: Sequence[Settlement]) -> SettleReport:
    """Apply the settlements whose token holds the job."""
    refused: list[Refusal] = []
    applied: list[Settlement] = []
    # Runs of the common kind, in their order among the others, go to SQLite as a few statements for all.
    for is_recorded, part in groupby(settlements, _is_recorded):
        if is_recorded:
            refused += _record(transaction, list(part), applied)
        else:
            refused += [lost for settlement in part if (lost := _apply(transaction, settlement, applied)) is not None]
    count_runs(transaction, tally(applied))
    for queue_name, target in {(settlement.queue_name, _TARGETS[settlement.command]) for settlement in settlements}:
        if target is not JobState.WAITING_CHILDREN:
            transaction.hint(_HINTS.get(target, NotificationKind.FINISHED), queue_name)
    in_flows = [(run, _TARGETS[run.command]) for run in settlements if run.flow_id is not None]
    if in_flows:
        tell_of_runs(transaction, in_flows)
    return SettleReport(refused)


def refusal(transaction: Transaction, job_id: str, token: LockToken) -> Refusal:
    """Return the refusal of what a run wrote to a job that it does not own, or that is gone."""
    reason = RefusalReason.LOCK_LOST if is_known(transaction, job_id) else RefusalReason.NOT_FOUND
    return Refusal(job_id, token, reason)


def _is_recorded(settlement: Settlement) -> bool:
    return not settlement.is_removed and _TARGETS[settlement.command] in SETTLED_STATES


def _record(
    transaction: Transaction, settlements: Sequence[Settlement], applied: list[Settlement]
) -> Iterable[Refusal]:
    """Move settled jobs into history, and note whose."""
    recorded: list[Settlement] = []
    rest = settlements
    while rest:
        first: dict[str, Settlement] = {}
        for settlement in rest:
            first.setdefault(settlement.job_id, settlement)
        for ending, part in _divided(first.values()).items():
            recorded += _record_alike(transaction, ending, part)
        # The others of a job come after its first, which is not to be overtaken by what ended like a neighbour.
        rest = [] if len(first) == len(rest) else [one for one in rest if one is not first[one.job_id]]
    if recorded:
        _keep(transaction, settlements)
        applied += recorded
    if len(recorded) == len(settlements):
        return ()
    return [lost for settlement in settlements if (lost := _refused(transaction, settlement)) is not None]


def _divided(settlements: Iterable[Settlement]) -> Mapping[_Ending, Sequence[Settlement]]:
    alike: defaultdict[_Ending, list[Settlement]] = defaultdict(list)
    for settlement in settlements:
        is_told = settlement.result is not None or settlement.error is not None
        ending = (settlement.token, settlement.command, settlement.outcome, settlement.is_counted, is_told)
        alike[ending].append(settlement)
    return alike


def _record_alike(transaction: Transaction, ending: _Ending, settlements: Sequence[Settlement]) -> Iterable[Settlement]:
    """Move jobs into history whose runs, all of one fetch, ended alike; return those that were."""
    connection = transaction.connection
    (session_id, fetch_number), command, outcome, is_counted, is_told = ending
    ids = as_json([settlement.job_id for settlement in settlements])
    how = (session_id, fetch_number, _STATES[_TARGETS[command]], transaction.now, _OUTCOMES[outcome], is_counted)
    if is_told:
        rows, told = _told(settlements)
        recorded = connection.execute(sql("jobs/settle_jobs_results"), (rows, *how, told)).rowcount
    else:
        recorded = connection.execute(sql("jobs/settle_jobs_history"), (ids, *how)).rowcount
    if not recorded:
        return ()
    applied: Iterable[Settlement] = settlements
    if recorded < len(settlements):
        held = {job_id for (job_id,) in connection.execute(sql("jobs/settle_jobs_held"), (ids, *ending[0]))}
        applied = {one.job_id: one for one in settlements if one.job_id in held}.values()
    connection.execute(sql("jobs/settle_jobs"), (ids, session_id, fetch_number))
    return applied


def _told(settlements: Sequence[Settlement]) -> tuple[str, bytes]:
    """Return the parameters that tell the results and errors of runs."""
    results = (settlement.result or b"" for settlement in settlements)
    errors = (error_column(settlement.error) or b"" for settlement in settlements)
    told, places = lay_out([*results, *errors])
    ends = zip(settlements, places, places[len(settlements) :], strict=False)
    rows = [
        (settlement.job_id, *result, *error, *(() if settlement.error is None else (settlement.error.fingerprint,)))
        for settlement, result, error in ends
    ]
    return as_json(rows), told


def _keep(transaction: Transaction, settlements: Sequence[Settlement]) -> None:
    """Note which of the jobs that were settled now go by themselves, and when."""
    # Apart from the statement for all: its jobs would pay for a value that few of them have.
    kept = [
        (*_lock(settlement), _OUTCOMES[settlement.outcome], micros_after(transaction.now, settlement.kept_for))
        for settlement in settlements
        if settlement.kept_for is not None
    ]
    if kept:
        transaction.connection.executemany(sql("jobs/settle_jobs_kept"), kept)


def _apply(transaction: Transaction, settlement: Settlement, applied: list[Settlement]) -> Refusal | None:
    if is_another_attempt(settlement) and _is_discarded(transaction, settlement):
        job = find_job(transaction.connection, settlement.job_id)
        return next(iter(settle_jobs(transaction, [as_discarded(settlement, job.options)]).refused), None)
    is_applied = _remove(transaction, settlement) if settlement.is_removed else _again(transaction, settlement)
    if not is_applied:
        return _refused(transaction, settlement)
    applied.append(settlement)
    return None


def _is_discarded(transaction: Transaction, settlement: Settlement) -> bool:
    row = transaction.connection.execute(sql("jobs/settle_jobs_discarded"), _lock(settlement)).fetchone()
    return row is not None and bool(row[0])


def _remove(transaction: Transaction, settlement: Settlement) -> bool:
    """Delete a settled job that is to leave no record."""
    connection, lock = transaction.connection, _lock(settlement)
    state = _STATES[_TARGETS[settlement.command]]
    ended = (settlement.outcome, state, transaction.now, settlement.result, error_column(settlement.error))
    if not connection.execute(sql("jobs/settle_jobs_removed"), (*lock, *ended)).rowcount:
        return False
    delete_jobs(transaction, [settlement.job_id])
    forget_removed(transaction)
    return True


def _again(transaction: Transaction, settlement: Settlement) -> bool:
    """Make the job wait or be delayed for its next run, with this one in its history."""
    connection, lock, now = transaction.connection, _lock(settlement), transaction.now
    error = error_column(settlement.error)
    attempt = (*lock, now, settlement.outcome, error)
    written = connection.execute(sql("jobs/settle_jobs_attempt"), attempt)
    if not written.rowcount:
        return False
    if written.lastrowid is not None and not written.lastrowid % TRIM_EVERY:
        connection.execute(sql("jobs/settle_jobs_attempt_trim"), (settlement.job_id, ATTEMPTS_KEPT))
    if settlement.outcome is AttemptOutcome.STALLED:
        connection.execute(sql("jobs/settle_jobs_stalled"), (*lock, error))
        return True
    due_at = micros_after(now, settlement.delay)
    state = _STATES[_TARGETS[settlement.command]]
    connection.execute(sql("jobs/settle_jobs_again"), (*lock, state, due_at, error, settlement.is_counted))
    return True


def _refused(transaction: Transaction, settlement: Settlement) -> Refusal | None:
    """Return nothing where the settlement stands, applied now or before."""
    outcomes = stands_as(settlement)
    run = (*_lock(settlement), outcomes[0], outcomes[-1])
    (is_applied,) = transaction.connection.execute(sql("jobs/settle_jobs_applied"), run).fetchone()
    return None if is_applied else refusal(transaction, settlement.job_id, settlement.token)


def _lock(settlement: Settlement) -> _LockRow:
    session_id, fetch_number = settlement.token
    return settlement.job_id, session_id, fetch_number
