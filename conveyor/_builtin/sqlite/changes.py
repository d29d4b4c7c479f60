"""Single jobs in SQLite, changed by core or an operator: ended, promoted, rerun, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.reading import find_job, look_for_job
from conveyor._builtin.sqlite.removing import delete_settled
from conveyor._builtin.sqlite.rows import error_column, micros_after
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import OUTCOMES, End, forget_parents, remove_jobs, reopen, tell_parents
from conveyor.errors import InvalidJobStateError
from conveyor.model.bulk import ChangeOutcome, ChangeReceipt
from conveyor.model.error_groups import fingerprinted
from conveyor.model.events import NotificationKind
from conveyor.model.job import ErrorInfo, moved_to_failed
from conveyor.model.queries import matches
from conveyor.model.retention import kept_for
from conveyor.model.states import Command, JobState, transition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import JobData
    from conveyor.model.queries import JobFilter

__all__ = [
    "cancel_job",
    "change_jobs",
    "move_to_failed",
    "promote_delayed_jobs",
    "promote_job",
    "remove_job",
    "rerun_job",
]


def cancel_job(transaction: Transaction, job_id: str, reason: str) -> JobData:
    """End a live job as cancelled; an active one loses its lock."""
    connection = transaction.connection
    job = find_job(connection, job_id)
    transition(job_id, job.state, Command.CANCEL)
    _end(transaction, job, JobState.CANCELLED, ErrorInfo("Cancelled", reason))
    return find_job(connection, job_id)


def move_to_failed(transaction: Transaction, job_id: str, reason: str) -> JobData:
    """End a live job as failed; it goes, or is kept, as its options say."""
    connection = transaction.connection
    job = find_job(connection, job_id)
    transition(job_id, job.state, Command.MOVE_TO_FAILED)
    removal = job.options.remove_on_fail
    error = fingerprinted(moved_to_failed(reason), job.queue_name, job.name)
    _end(transaction, job, JobState.FAILED, error, kept_for(removal))
    job = find_job(connection, job_id)
    if removal is True:
        delete_settled(transaction, job_id)
        if job.options.flow_id is not None:
            forget_parents(transaction, [job_id])
    return job


def _end(
    transaction: Transaction, job: JobData, state: JobState, error: ErrorInfo, kept: timedelta | None = None
) -> None:
    remove_at = None if kept is None else micros_after(transaction.now, kept)
    text = error_column(error)
    transaction.connection.execute(sql("jobs/cancel_job"), (job.id, transaction.now, text, str(state), remove_at))
    transaction.connection.execute(sql("jobs/remove_job_live"), (job.id,))
    if job.state is JobState.ACTIVE:
        transaction.hint(NotificationKind.REVOKED, job.queue_name, job.id)
    transaction.hint(NotificationKind.FINISHED, job.queue_name)
    if job.options.flow_id is not None:
        tell_parents(transaction, [End(job.id, OUTCOMES[state], None, text)])


def promote_job(transaction: Transaction, job_id: str) -> JobData:
    """Make a delayed job wait, available now."""
    connection = transaction.connection
    job = find_job(connection, job_id)
    transition(job_id, job.state, Command.PROMOTE)
    connection.execute(sql("jobs/promote_job"), (job_id, transaction.now))
    transaction.hint(NotificationKind.ADDED, job.queue_name)
    return find_job(connection, job_id)


def promote_delayed_jobs(transaction: Transaction, queue_names: Sequence[str], limit: int) -> int:
    """Make delayed jobs wait whose time has come; return how many."""
    promoted = 0
    for queue_name in dict.fromkeys(queue_names):
        due = (queue_name, transaction.now, max(limit - promoted, 0))
        changed = transaction.connection.execute(sql("jobs/promote_delayed_jobs"), due).rowcount
        if changed:
            transaction.hint(NotificationKind.ADDED, queue_name)
        promoted += changed
    return promoted


def rerun_job(transaction: Transaction, job_id: str, payload: bytes | None) -> JobData:
    """Make a settled job wait again, for open children first, available now; attempts and logs stay."""
    connection = transaction.connection
    job = find_job(connection, job_id)
    transition(job_id, job.state, Command.RERUN)
    seq = transaction.take_seqs(1)[0]
    state = JobState.WAITING if job.options.flow_id is None else reopen(transaction, job_id)
    group_id = None if job.options.group is None else job.options.group.id
    live = (job_id, seq, transaction.now, job.name, job.options.lifo, state, group_id)
    connection.execute(sql("jobs/rerun_job_attempt"), (job_id,))
    connection.execute(sql("jobs/rerun_job_live"), live)
    connection.execute(sql("jobs/remove_job_history"), (job_id,))
    connection.execute(sql("jobs/rerun_job"), (job_id, seq, payload))
    transaction.hint(NotificationKind.ADDED, job.queue_name)
    return find_job(connection, job_id)


def remove_job(transaction: Transaction, job_id: str) -> None:
    """Delete a job that is not active, with its logs and history."""
    job = find_job(transaction.connection, job_id)
    transition(job_id, job.state, Command.REMOVE)
    remove_jobs(transaction, [job_id])


def change_jobs(
    transaction: Transaction, command: Command, job_ids: Sequence[str], wanted: JobFilter, reason: str
) -> Sequence[ChangeReceipt]:
    """Do what an operator asks for with those of the jobs that match."""
    return [_change_one(transaction, command, job_id, wanted, reason) for job_id in job_ids]


def _change_one(
    transaction: Transaction, command: Command, job_id: str, wanted: JobFilter, reason: str
) -> ChangeReceipt:
    job = look_for_job(transaction.connection, job_id)
    if job is None:
        return ChangeReceipt(job_id, ChangeOutcome.NOT_FOUND)
    if not matches(job, wanted):
        return ChangeReceipt(job_id, ChangeOutcome.NO_MATCH, job.state)
    try:
        after = _change(transaction, command, job_id, reason)
    except InvalidJobStateError:
        return ChangeReceipt(job_id, ChangeOutcome.REFUSED, job.state)
    return ChangeReceipt(job_id, ChangeOutcome.DONE, None if after is None else after.state)


def _change(transaction: Transaction, command: Command, job_id: str, reason: str) -> JobData | None:
    if command is Command.CANCEL:
        return cancel_job(transaction, job_id, reason)
    if command is Command.PROMOTE:
        return promote_job(transaction, job_id)
    if command is Command.RERUN:
        return rerun_job(transaction, job_id, None)
    remove_job(transaction, job_id)
    return None
