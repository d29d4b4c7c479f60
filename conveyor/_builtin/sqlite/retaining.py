"""Settled jobs of the SQLite store that are to be kept no longer: found by age, by number and by their own option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.rows import LAST_MICROS, span_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import remove_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.retention import Retention

__all__ = ["remove_outdated_jobs"]


def remove_outdated_jobs(transaction: Transaction, queue_names: Sequence[str], retention: Retention, limit: int) -> int:
    """Remove settled jobs of these queues that are to be kept no longer; return how many."""
    total = 0
    for queue_name in dict.fromkeys(queue_names):
        for remove in (_remove_own, _remove_old, _remove_surplus):
            total += remove(transaction, queue_name, retention, max(limit - total, 0))
    return total


def _remove_own(transaction: Transaction, queue_name: str, _: Retention, limit: int) -> int:
    return _remove(transaction, "jobs/remove_outdated_jobs_own", (queue_name, transaction.now, limit))


def _remove_old(transaction: Transaction, queue_name: str, retention: Retention, limit: int) -> int:
    if retention.max_age is None:
        return 0
    ended_by = transaction.now - span_micros(retention.max_age)
    return _remove(transaction, "jobs/remove_outdated_jobs_old", (queue_name, ended_by, limit))


def _remove_surplus(transaction: Transaction, queue_name: str, retention: Retention, limit: int) -> int:
    if retention.max_count is None:
        return 0
    # Counted no farther than this call can remove: a long history must not be counted anew for each chunk of it.
    bound = (queue_name, retention.max_count + limit)
    (count,) = transaction.connection.execute(sql("jobs/remove_outdated_jobs_count"), bound).fetchone()
    surplus = max(count - retention.max_count, 0)
    return _remove(transaction, "jobs/remove_outdated_jobs_old", (queue_name, LAST_MICROS, surplus))


def _remove(transaction: Transaction, statement: str, chosen: tuple[str, int, int]) -> int:
    job_ids = [job_id for (job_id,) in transaction.connection.execute(sql(statement), chosen)]
    remove_jobs(transaction, job_ids)
    return len(job_ids)
