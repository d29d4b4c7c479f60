"""Live jobs in SQLite, edited by an operator or by their own handlers; each keeps its id and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.reading import find_job
from conveyor._builtin.sqlite.rows import micros_after, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.events import NotificationKind
from conveyor.model.job import AttemptOutcome
from conveyor.model.states import Command, JobState, transition

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import JobData

__all__ = ["change_delay", "change_priority", "discard", "move_to_delayed", "update_data"]


def update_data(transaction: Transaction, job_id: str, payload: bytes) -> JobData:
    """Give the job another payload, for the runs to come."""
    _edited(transaction, job_id, Command.UPDATE_DATA)
    transaction.connection.execute(sql("jobs/update_data"), (job_id, payload))
    return find_job(transaction.connection, job_id)


def change_priority(transaction: Transaction, job_id: str, priority: int) -> JobData:
    """Put the job at its place within another priority."""
    job = _edited(transaction, job_id, Command.CHANGE_PRIORITY)
    transaction.connection.execute(sql("jobs/change_priority"), (job_id, priority))
    transaction.hint(NotificationKind.ADDED, job.queue_name)
    return find_job(transaction.connection, job_id)


def change_delay(transaction: Transaction, job_id: str, delay: timedelta) -> JobData:
    """Let a delayed job be due so long from now."""
    job = _edited(transaction, job_id, Command.CHANGE_DELAY)
    return _delay_until(transaction, job, micros_after(transaction.now, delay))


def move_to_delayed(transaction: Transaction, job_id: str, run_at: datetime) -> JobData:
    """Put the job off; an active one loses its lock."""
    job = _edited(transaction, job_id, Command.MOVE_TO_DELAYED)
    if job.state is JobState.ACTIVE and job.token is not None:
        ended = (job_id, *job.token, transaction.now, AttemptOutcome.SNOOZED.value, None)
        transaction.connection.execute(sql("jobs/settle_jobs_attempt"), ended)
        transaction.hint(NotificationKind.REVOKED, job.queue_name, job_id)
    return _delay_until(transaction, job, max(to_micros(run_at), transaction.now))


def discard(transaction: Transaction, job_id: str) -> JobData:
    """Let the job have no further attempt."""
    _edited(transaction, job_id, Command.DISCARD)
    transaction.connection.execute(sql("jobs/discard"), (job_id,))
    return find_job(transaction.connection, job_id)


def _edited(transaction: Transaction, job_id: str, command: Command) -> JobData:
    job = find_job(transaction.connection, job_id)
    transition(job_id, job.state, command)
    return job


def _delay_until(transaction: Transaction, job: JobData, due_at: int) -> JobData:
    transaction.connection.execute(sql("jobs/move_to_delayed"), (job.id, due_at))
    transaction.hint(NotificationKind.DELAYED, job.queue_name)
    return find_job(transaction.connection, job.id)
