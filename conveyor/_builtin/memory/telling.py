"""What parents are told when their children end, in the memory store, and what becomes of them by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor._builtin.memory.flow_tables import End
from conveyor._builtin.memory.records import later
from conveyor._builtin.memory.retaining import keep_for
from conveyor.model.events import NotificationKind
from conveyor.model.flows import ChildOutcome, Step, child_failed, next_step, on_children_settled
from conveyor.model.job import AttemptOutcome
from conveyor.model.options import ChildFailurePolicy
from conveyor.model.retention import kept_for
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from conveyor._builtin.memory.flow_tables import FlowTables, Parent
    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables

__all__ = ["ended", "go_on", "remove_jobs", "reopen", "tell_parents"]

OUTCOMES: Final = {
    JobState.COMPLETED: ChildOutcome.COMPLETED,
    JobState.FAILED: ChildOutcome.FAILED,
    JobState.CANCELLED: ChildOutcome.CANCELLED,
}


def ended(record: JobRecord) -> End:
    """Return the end of a job that was settled."""
    return End(record.id, OUTCOMES[record.state], record.result, record.error)


def tell_parents(tables: Tables, ends: Iterable[End], now: datetime) -> None:
    """Tell the parents of jobs that ended, and those of parents that fail by it, up to the top."""
    told = list(ends)
    while told:
        heard: dict[str, list[End]] = {}
        for end in told:
            for parent_id in tables.flows.parents_of.get(end.job_id, ()):
                if tables.flows.parents[parent_id].children[end.job_id].outcome is None:
                    heard.setdefault(parent_id, []).append(end)
        told = []
        for parent_id, news in heard.items():
            _note(tables.flows, tables.flows.parents[parent_id], news)
            if (end_of_parent := go_on(tables, parent_id, now)) is not None:
                told.append(end_of_parent)


def _note(flows: FlowTables, parent: Parent, news: Sequence[End]) -> None:
    policy = parent.record.policy
    parent.standing = on_children_settled(parent.standing, [end.outcome for end in news], policy)
    parent.failure = next((end for end in news if end.outcome is not ChildOutcome.COMPLETED), parent.failure)
    for end in news:
        is_failure = end.outcome is not ChildOutcome.COMPLETED
        if is_failure and policy is ChildFailurePolicy.REMOVE:
            del parent.children[end.job_id]
            flows.unlink(parent.record.job_id, end.job_id)
        else:
            child = parent.children[end.job_id]
            parent.children[end.job_id] = evolve(child, outcome=end.outcome, result=end.result, error=end.error)


def go_on(tables: Tables, parent_id: str, now: datetime) -> End | None:
    """Let a parent that waits for its children go on as they stand; return its end, if it fails by that."""
    record = tables.jobs.get(parent_id)
    if record is None or record.state is not JobState.WAITING_CHILDREN:
        return None
    parent = tables.flows.parents.get(parent_id)
    step = Step.RUN if parent is None else next_step(parent.standing, parent.record.policy)
    if step is Step.RUN:
        _run(tables, record, parent, now)
    if step is Step.FAIL and parent is not None:
        return _fail(tables, record, parent, now)
    return None


def _run(tables: Tables, record: JobRecord, parent: Parent | None, now: datetime) -> None:
    delay = None if parent is None else parent.record.delay
    due_at = max(record.run_at, now if delay is None else later(now, delay))
    if parent is not None and delay is not None:
        parent.record = evolve(parent.record, delay=None)
    record.queue.leave(record)
    is_delayed = due_at > now
    record.queue.wait_from(record, due_at, JobState.DELAYED if is_delayed else JobState.WAITING)
    kind = NotificationKind.DELAYED if is_delayed else NotificationKind.ADDED
    tables.notifier.tell(kind, (record.queue.name,))


def _fail(tables: Tables, record: JobRecord, parent: Parent, now: datetime) -> End:
    failure = parent.failure
    record.queue.leave(record)
    if failure is None:
        record.error = None
    else:
        record.error = child_failed(failure.job_id, failure.outcome, record.queue.name, record.name)
    record.finished_at = now
    record.queue.enter(record, JobState.FAILED)
    tables.notifier.tell(NotificationKind.FINISHED, (record.queue.name,))
    end = ended(record)
    if parent.record.removal is True:
        tables.removed.remember(record, AttemptOutcome.FAILED)
        tables.remove(record)
    elif (kept := kept_for(parent.record.removal)) is not None:
        keep_for(record, kept, now)
    return end


def remove_jobs(tables: Tables, records: Iterable[JobRecord]) -> None:
    """Forget jobs, and tell those who waited for them."""
    removed = list(records)
    for record in removed:
        tables.remove(record)
    if tables.flows.parents_of:
        tell_parents(tables, [End(record.id, ChildOutcome.REMOVED) for record in removed], tables.now())


def reopen(tables: Tables, record: JobRecord) -> JobState:
    """Note in its flows that a settled job runs again; return whether it waits, or waits for its children."""
    flows = tables.flows
    for parent_id in flows.parents_of.get(record.id, ()):
        _take_back(flows.parents[parent_id], record.id)
    own = flows.parents.get(record.id)
    if own is None:
        return JobState.WAITING
    own.standing.failed_count = 0
    return JobState.WAITING_CHILDREN if own.standing.open_count else JobState.WAITING


def _take_back(parent: Parent, child_id: str) -> None:
    child, standing = parent.children[child_id], parent.standing
    if child.outcome is None:
        return
    if child.outcome is not ChildOutcome.COMPLETED:
        standing.failed_count = max(standing.failed_count - 1, 0)
    standing.open_count += 1
    parent.children[child_id] = evolve(child, outcome=None, result=None, error=None)
