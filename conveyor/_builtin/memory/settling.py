"""Settling in the memory store: how runs ended, written under their locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory.records import later
from conveyor._builtin.memory.retaining import keep_for
from conveyor._builtin.memory.telling import ended, go_on, tell_parents
from conveyor.model.events import NotificationKind
from conveyor.model.job import AttemptOutcome
from conveyor.model.metrics import tally
from conveyor.model.settlement import Refusal, RefusalReason, as_discarded, is_another_attempt, stands_as
from conveyor.model.states import SETTLED_STATES, TRANSITIONS, Command, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.locks import LockToken
    from conveyor.model.settlement import Settlement

__all__ = ["refusal", "settle_jobs"]

# What each command that ends a run makes of its job: cells of the model's table, without building a key per job.
_TARGETS: Final = {
    command: target for command in Command if (target := TRANSITIONS.get((JobState.ACTIVE, command))) is not None
}
_HINTS: Final = {JobState.WAITING: NotificationKind.ADDED, JobState.DELAYED: NotificationKind.DELAYED}


def settle_jobs(tables: Tables, settlements: Sequence[Settlement], now: datetime) -> list[Refusal]:
    """Apply each settlement whose token holds its job; return those refused."""
    jobs = tables.jobs
    refused: list[Refusal] = []
    applied: list[Settlement] = []
    reached: dict[tuple[JobState, str], None] = {}
    in_flows: list[JobRecord] = []
    for settlement in settlements:
        record = jobs.get(settlement.job_id)
        if record is not None and record.is_held_under(settlement.token):
            applied.append(_apply(tables, record, settlement, now))
            reached[record.state, record.queue.name] = None
            if settlement.flow_id is not None:
                in_flows.append(record)
        elif not _was_applied(tables, record, settlement):
            refused.append(refusal(record, settlement.job_id, settlement.token))
    tables.run_counts.add(tally(applied), now)
    if tables.notifier.is_heard:
        _tell(tables, reached)
    if in_flows:
        _go_on_in_flows(tables, in_flows, now)
    return refused


def _tell(tables: Tables, reached: Iterable[tuple[JobState, str]]) -> None:
    for state, queue_name in reached:
        if state is not JobState.WAITING_CHILDREN:
            tables.notifier.tell(_HINTS.get(state, NotificationKind.FINISHED), (queue_name,))


def refusal(record: JobRecord | None, job_id: str, token: LockToken) -> Refusal:
    """Return the refusal of what a run wrote to a job that it does not own, or that is gone."""
    return Refusal(job_id, token, RefusalReason.NOT_FOUND if record is None else RefusalReason.LOCK_LOST)


def _apply(tables: Tables, record: JobRecord, settlement: Settlement, now: datetime) -> Settlement:
    """End the run; return the settlement as it was applied."""
    if record.is_discarded and is_another_attempt(settlement):
        settlement = as_discarded(settlement, record.options)
    target = _TARGETS[settlement.command]
    queue = record.queue
    queue.leave(record)
    record.end_run(now, settlement.outcome, settlement.error)
    if settlement.is_counted:
        record.attempts_made += 1
    elif settlement.outcome is AttemptOutcome.STALLED:
        record.stalled_count += 1
    record.error = settlement.error
    if target in SETTLED_STATES:
        record.result = settlement.result
        record.finished_at = now
        if settlement.is_removed:
            record.state = target
            tables.removed.remember(record, settlement.outcome)
            tables.forget(record)
        else:
            queue.enter(record, target)
            if settlement.kept_for is not None:
                keep_for(record, settlement.kept_for, now)
    elif settlement.command is Command.RECLAIM:
        queue.enter(record, target)  # at its old place
    else:
        queue.wait_from(record, later(now, settlement.delay), target)
    return settlement


def _go_on_in_flows(tables: Tables, records: Sequence[JobRecord], now: datetime) -> None:
    ends = [ended(record) for record in records if record.state in SETTLED_STATES]
    ends += [end for record in records if (end := go_on(tables, record.id, now)) is not None]
    tell_parents(tables, ends, now)


def _was_applied(tables: Tables, record: JobRecord | None, settlement: Settlement) -> bool:
    for attempt in reversed(record.history if record is not None else ()):
        if attempt[1] == settlement.token:
            return attempt[4] in stands_as(settlement)
    # Its id may be taken by another job by now.
    return tables.removed.was_by(settlement)
