"""What parents are told when their children end, in SQLite, and what becomes of them by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conveyor._builtin.sqlite.removing import delete_jobs, delete_settled
from conveyor._builtin.sqlite.rows import LAST_MICROS, error_column
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.events import NotificationKind
from conveyor.model.flows import ChildOutcome, Standing, Step, child_failed, next_step, on_children_settled
from conveyor.model.options import ChildFailurePolicy
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor._builtin.sqlite.rows import JobRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.settlement import Settlement

__all__ = [
    "End",
    "forget_parents",
    "go_on",
    "has_flows",
    "is_known",
    "remove_jobs",
    "reopen",
    "tell_of_runs",
    "tell_parents",
]

OUTCOMES: Final = {
    JobState.COMPLETED: ChildOutcome.COMPLETED,
    JobState.FAILED: ChildOutcome.FAILED,
    JobState.CANCELLED: ChildOutcome.CANCELLED,
}


class End(NamedTuple):
    """How a job ended, for those who wait for it; the error as it is stored."""

    job_id: str
    outcome: ChildOutcome
    result: bytes | None = None
    error: bytes | None = None


def tell_of_runs(transaction: Transaction, runs: Iterable[tuple[Settlement, JobState]]) -> None:
    """Tell parents of jobs whose runs were settled with these states; let those go on that wait for their children."""
    ends: list[End] = []
    for settlement, state in runs:
        if state is JobState.WAITING_CHILDREN:
            ends += go_on(transaction, settlement.job_id)
        elif state in OUTCOMES and _is_ended_by(transaction, settlement):
            error = error_column(settlement.error)
            ends.append(End(settlement.job_id, OUTCOMES[state], settlement.result, error))
            # One that is repeated with a removal removes nothing: its first answer left a record.
            if settlement.is_removed and not is_known(transaction, settlement.job_id):
                forget_parents(transaction, [settlement.job_id])
    tell_parents(transaction, ends)


def _is_ended_by(transaction: Transaction, settlement: Settlement) -> bool:
    # Not only now: a repeated settlement tells what is left to tell. Of a job that was rerun since, it tells nothing.
    run = (settlement.job_id, *settlement.token, settlement.outcome)
    (is_ended,) = transaction.connection.execute(sql("jobs/settle_jobs_ended"), run).fetchone()
    return bool(is_ended)


def is_known(transaction: Transaction, job_id: str) -> bool:
    """Return whether a job of this id exists."""
    return bool(transaction.connection.execute(sql("jobs/settle_jobs_known"), (job_id,)).fetchone()[0])


def tell_parents(transaction: Transaction, ends: Iterable[End]) -> None:
    """Tell the parents of jobs that ended, and those of parents that fail by it, up to the top."""
    told = list(ends)
    while told:
        heard: dict[str, list[End]] = {}
        for end in told:
            news = (end.job_id, end.outcome, end.result, end.error)
            for (parent_id,) in transaction.connection.execute(sql("jobs/settle_jobs_told"), news).fetchall():
                heard.setdefault(parent_id, []).append(end)
        told = []
        for parent_id, ended in heard.items():
            _count(transaction, parent_id, ended)
            told += go_on(transaction, parent_id, ended)


def _count(transaction: Transaction, parent_id: str, ended: Sequence[End]) -> None:
    connection = transaction.connection
    name, open_count, failed_count = connection.execute(sql("jobs/settle_jobs_standing"), (parent_id,)).fetchone()
    policy = ChildFailurePolicy(name)
    standing = on_children_settled(Standing(open_count, failed_count), [end.outcome for end in ended], policy)
    counts = (parent_id, standing.open_count, standing.failed_count)
    connection.execute(sql("jobs/settle_jobs_counted"), counts)
    if policy is ChildFailurePolicy.REMOVE:
        failed = [(parent_id, end.job_id) for end in ended if end.outcome is not ChildOutcome.COMPLETED]
        connection.executemany(sql("jobs/settle_jobs_dropped"), failed)


def go_on(transaction: Transaction, job_id: str, news: Sequence[End] = ()) -> list[End]:
    """Let a job that waits for its children go on as they stand; return its end, if it fails by that.

    With what was just told, its error says which of these it was.
    """
    row = transaction.connection.execute(sql("jobs/settle_jobs_parent"), (job_id,)).fetchone()
    if row is None:
        return []
    policy = ChildFailurePolicy(row[2] or ChildFailurePolicy.FAIL)
    step = next_step(Standing(row[3], row[4]), policy)
    if step is Step.RUN:
        _run(transaction, job_id, row)
    if step is not Step.FAIL:
        return []
    failure = next(((end.job_id, end.outcome) for end in news if end.outcome is not ChildOutcome.COMPLETED), None)
    return [_fail(transaction, job_id, row, failure or _known_failure(transaction, job_id))]


def _known_failure(transaction: Transaction, job_id: str) -> tuple[str, ChildOutcome]:
    child_id, outcome = transaction.connection.execute(sql("jobs/settle_jobs_parent_failure"), (job_id,)).fetchone()
    return child_id, ChildOutcome(outcome)


def _run(transaction: Transaction, job_id: str, row: JobRow) -> None:
    queue_name, run_at, delay, now = row[0], row[1], row[5], transaction.now
    due_at = max(run_at, now, min(now + (delay or 0), LAST_MICROS))
    state = JobState.DELAYED if due_at > now else JobState.WAITING
    transaction.connection.execute(sql("jobs/settle_jobs_parent_runs"), (job_id, state, due_at))
    if delay is not None:
        transaction.connection.execute(sql("jobs/settle_jobs_parent_delayed"), (job_id,))
    transaction.hint(NotificationKind.DELAYED if due_at > now else NotificationKind.ADDED, queue_name)


def _fail(transaction: Transaction, job_id: str, row: JobRow, failure: tuple[str, ChildOutcome]) -> End:
    connection, now = transaction.connection, transaction.now
    queue_name, is_removed, kept_for = row[0], row[6], row[7]
    error = error_column(child_failed(*failure, queue_name, row[8]))
    remove_at = None if kept_for is None else min(now + kept_for, LAST_MICROS)
    connection.execute(sql("jobs/settle_jobs_parent_failed"), (job_id, now, error, remove_at))
    connection.execute(sql("jobs/remove_job_live"), (job_id,))
    transaction.hint(NotificationKind.FINISHED, queue_name)
    if is_removed:
        delete_settled(transaction, job_id)
        forget_parents(transaction, [job_id])
    return End(job_id, ChildOutcome.FAILED, None, error)


def has_flows(transaction: Transaction) -> bool:
    """Return whether any job waits, or waited, for others: nearly always the answer is no."""
    return bool(transaction.connection.execute(sql("jobs/remove_job_has_flows")).fetchone()[0])


def forget_parents(transaction: Transaction, job_ids: Sequence[str]) -> None:
    """Forget what was known of the children of jobs that are gone."""
    rows = [(job_id,) for job_id in job_ids]
    transaction.connection.executemany(sql("jobs/remove_job_children"), rows)
    transaction.connection.executemany(sql("jobs/remove_job_standing"), rows)


def remove_jobs(transaction: Transaction, job_ids: Sequence[str]) -> None:
    """Delete jobs as `delete_jobs` does, and tell those who waited for them."""
    delete_jobs(transaction, job_ids)
    if job_ids and has_flows(transaction):
        forget_parents(transaction, job_ids)
        tell_parents(transaction, [End(job_id, ChildOutcome.REMOVED) for job_id in job_ids])


def reopen(transaction: Transaction, job_id: str) -> JobState:
    """Note in its flows that a settled job runs again; return whether it waits, or waits for its children."""
    connection = transaction.connection
    connection.execute(sql("jobs/rerun_job_told"), (job_id,))
    connection.execute(sql("jobs/rerun_job_edges"), (job_id,))
    own = connection.execute(sql("jobs/rerun_job_forgiven"), (job_id,)).fetchall()
    return JobState.WAITING_CHILDREN if own and own[0][0] else JobState.WAITING
