"""Jobs of the SQLite store that had not started in time: cancelled by the pass, or by a fetch that meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.rows import error_column, from_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import End, has_flows, tell_parents
from conveyor.model.events import NotificationKind
from conveyor.model.flows import ChildOutcome
from conveyor.model.job import expired
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from conveyor._builtin.sqlite.transaction import Transaction

__all__ = ["expire_all_of", "expire_jobs"]

_AT_ONCE: Final = 1000


def expire_jobs(transaction: Transaction, limit: int) -> int:
    """Cancel what had not started in time, of every queue; return how many."""
    total = 0
    for (queue_name,) in transaction.connection.execute(sql("jobs/expire_jobs_queues")).fetchall():
        total += _expire(transaction, queue_name, max(limit - total, 0))
    return total


def expire_all_of(transaction: Transaction, queue_name: str) -> None:
    """Cancel whatever of a queue had not started in time."""
    while _expire(transaction, queue_name, _AT_ONCE) == _AT_ONCE:
        pass


def _expire(transaction: Transaction, queue_name: str, limit: int) -> int:
    connection, now = transaction.connection, transaction.now
    due = connection.execute(sql("jobs/expire_jobs_due"), (queue_name, now, limit)).fetchall()
    ends: list[End] = []
    for job_id, expires_at in due:
        error = error_column(expired(from_micros(expires_at)))
        connection.execute(sql("jobs/cancel_job"), (job_id, now, error, JobState.CANCELLED.value, None))
        connection.execute(sql("jobs/remove_job_live"), (job_id,))
        ends.append(End(job_id, ChildOutcome.CANCELLED, None, error))
    if due:
        transaction.hint(NotificationKind.FINISHED, queue_name)
        if has_flows(transaction):
            tell_parents(transaction, ends)
    return len(due)
