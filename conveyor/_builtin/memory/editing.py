"""Live jobs of the memory store, edited by an operator or by their own handlers; each keeps its id and its history."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from conveyor._builtin.memory.records import later
from conveyor.model.events import NotificationKind
from conveyor.model.job import AttemptOutcome
from conveyor.model.states import Command, JobState, transition

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables

__all__ = ["change_delay", "change_priority", "discard", "move_to_delayed", "update_data"]


def update_data(tables: Tables, job_id: str, payload: bytes) -> JobRecord:
    """Give the job another payload, for the runs to come."""
    record = _edited(tables, job_id, Command.UPDATE_DATA)
    record.payload = payload
    return record


def change_priority(tables: Tables, job_id: str, priority: int) -> JobRecord:
    """Put the job at its place within another priority."""
    record = _edited(tables, job_id, Command.CHANGE_PRIORITY)
    state = record.state
    record.queue.leave(record)
    record.priority = priority
    record.queue.enter(record, state)
    tables.notifier.tell(NotificationKind.ADDED, (record.queue.name,))
    return record


def change_delay(tables: Tables, job_id: str, delay: timedelta) -> JobRecord:
    """Let a delayed job be due so long from now."""
    record = _edited(tables, job_id, Command.CHANGE_DELAY)
    return _delay_until(tables, record, later(tables.now(), delay))


def move_to_delayed(tables: Tables, job_id: str, run_at: datetime) -> JobRecord:
    """Put the job off; an active one loses its lock."""
    record = _edited(tables, job_id, Command.MOVE_TO_DELAYED)
    was_active = record.state is JobState.ACTIVE
    if was_active:
        record.end_run(tables.now(), AttemptOutcome.SNOOZED, None)
    _delay_until(tables, record, max(run_at, tables.now()))
    if was_active:
        tables.notifier.tell(NotificationKind.REVOKED, (record.queue.name,), record.id)
    return record


def discard(tables: Tables, job_id: str) -> JobRecord:
    """Let the job have no further attempt."""
    record = _edited(tables, job_id, Command.DISCARD)
    record.is_discarded = True
    return record


def _edited(tables: Tables, job_id: str, command: Command) -> JobRecord:
    record = tables.job(job_id)
    transition(record.id, record.state, command)
    return record


def _delay_until(tables: Tables, record: JobRecord, run_at: datetime) -> JobRecord:
    record.queue.leave(record)
    record.queue.wait_from(record, run_at.astimezone(UTC), JobState.DELAYED)
    tables.notifier.tell(NotificationKind.DELAYED, (record.queue.name,))
    return record
