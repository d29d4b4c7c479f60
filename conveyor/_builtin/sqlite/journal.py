"""What runs write while they go on, in SQLite: progress and log lines, under their locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.settling import refusal
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_progress
from conveyor.model.locks import LockToken
from conveyor.model.retention import LOG_LINES_KEPT, TRIM_EVERY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import LogEntry, ProgressReport
    from conveyor.model.settlement import Refusal

__all__ = ["append_logs", "clear_logs", "set_progress"]

_NO_TOKEN: Final = LockToken("", 0)


def set_progress(transaction: Transaction, reports: Sequence[ProgressReport]) -> Sequence[Refusal]:
    """Store progress where the lock holds."""
    refused: list[Refusal] = []
    for report in reports:
        job_id, token = report.lock
        row = (job_id, *token, encode_progress(report.progress))
        if not transaction.connection.execute(sql("jobs/set_progress"), row).rowcount:
            refused.append(refusal(transaction, job_id, token))
    return refused


def append_logs(transaction: Transaction, entries: Sequence[LogEntry]) -> Sequence[Refusal]:
    """Append the lines whose lock holds, and those without a lock whose job exists."""
    refused: list[Refusal] = []
    for entry in entries:
        if not _append(transaction, entry):
            token = _NO_TOKEN if entry.lock is None else entry.lock.token
            refused.append(refusal(transaction, entry.job_id, token))
    return refused


def _append(transaction: Transaction, entry: LogEntry) -> bool:
    connection, now, lock = transaction.connection, transaction.now, entry.lock
    if lock is None:
        written = connection.execute(sql("jobs/append_logs_unlocked"), (entry.job_id, entry.message, now))
    elif lock.job_id == entry.job_id:
        written = connection.execute(sql("jobs/append_logs"), (lock.job_id, *lock.token, entry.message, now))
    else:
        return False
    if not written.rowcount:
        return False
    if written.lastrowid is not None and not written.lastrowid % TRIM_EVERY:
        connection.execute(sql("jobs/append_logs_trim"), (entry.job_id, LOG_LINES_KEPT))
    return True


def clear_logs(transaction: Transaction, job_id: str) -> int:
    """Delete a job's lines; return how many there were."""
    return transaction.connection.execute(sql("jobs/clear_logs"), (job_id,)).rowcount
