"""Removing jobs from SQLite, from every table that knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.statements import sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction

__all__ = ["delete_jobs", "delete_settled", "forget_removed"]

# The table conveyor_jobs comes last: the others find their rows through it.
_STATEMENTS: Final = (
    "jobs/remove_job_live",
    "jobs/remove_job_history",
    "jobs/remove_job_logs",
    "jobs/remove_job_attempts",
    "jobs/remove_job_key",
    "jobs/remove_job",
)


# At least so many of the jobs that were removed as they settled are remembered.
_REMOVED_REMEMBERED: Final = 10_000


def delete_settled(transaction: Transaction, job_id: str) -> None:
    """Delete a job that leaves no record, but for how it ended."""
    transaction.connection.execute(sql("jobs/remove_job_remembered"), (job_id,))
    delete_jobs(transaction, [job_id])
    forget_removed(transaction)


def forget_removed(transaction: Transaction) -> None:
    """Forget how jobs ended that were removed long ago."""
    transaction.connection.execute(sql("jobs/settle_jobs_prune"), (_REMOVED_REMEMBERED,))


def delete_jobs(transaction: Transaction, job_ids: Sequence[str]) -> None:
    """Delete jobs whatever their state, with their logs and history."""
    rows = [(job_id,) for job_id in job_ids]
    for statement in _STATEMENTS:
        transaction.connection.executemany(sql(statement), rows)
