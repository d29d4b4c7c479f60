"""Removing jobs from SQLite, from every table that knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.statements import sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction

__all__ = ["delete_jobs"]

# The table jobs comes last: the others find their rows through it.
_STATEMENTS: Final = (
    "jobs/remove_job_live",
    "jobs/remove_job_history",
    "jobs/remove_job_logs",
    "jobs/remove_job_attempts",
    "jobs/remove_job",
)


def delete_jobs(transaction: Transaction, job_ids: Sequence[str]) -> None:
    """Delete jobs whatever their state, with their logs and history."""
    rows = [(job_id,) for job_id in job_ids]
    for statement in _STATEMENTS:
        transaction.connection.executemany(sql(statement), rows)
