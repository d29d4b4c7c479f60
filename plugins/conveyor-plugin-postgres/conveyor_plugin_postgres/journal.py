"""What runs write while they go on, in PostgreSQL: progress and log lines, under their locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.codec import encode_progress
from conveyor.model.locks import LockToken
from conveyor.model.settlement import Refusal, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import LogEntry, ProgressReport
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["append_logs", "clear_logs", "set_progress"]

_NO_TOKEN: Final = LockToken("", 0)


async def set_progress(part: Part, reports: Sequence[ProgressReport]) -> Sequence[Refusal]:
    """Store progress where the lock holds."""
    rows = await part.fetch(
        "jobs/set_progress",
        [report.lock.job_id for report in reports],
        [report.lock.token.session_id for report in reports],
        [report.lock.token.fetch_number for report in reports],
        [encode_progress(report.progress) for report in reports],
    )
    return _refusals(rows, [report.lock for report in reports])


async def append_logs(part: Part, entries: Sequence[LogEntry]) -> Sequence[Refusal]:
    """Append the lines whose lock holds, and those without a lock whose job exists."""
    rows = await part.fetch(
        "jobs/append_logs",
        [entry.job_id for entry in entries],
        [None if entry.lock is None else entry.lock.token.session_id for entry in entries],
        [None if entry.lock is None else entry.lock.token.fetch_number for entry in entries],
        [entry.lock is None or entry.lock.job_id == entry.job_id for entry in entries],
        [entry.message for entry in entries],
        part.moment,
    )
    return _refusals(rows, [(entry.job_id, _NO_TOKEN if entry.lock is None else entry.lock.token) for entry in entries])


async def clear_logs(part: Part, job_id: str) -> int:
    """Delete a job's lines; return how many there were."""
    return await part.execute("jobs/clear_logs", job_id)


def _refusals(rows: Sequence[Row], locks: Sequence[tuple[str, LockToken]]) -> Sequence[Refusal]:
    refused = [(*locks[place - 1], reason) for place, reason in rows]
    return [Refusal(job_id, token, RefusalReason(reason)) for job_id, token, reason in refused]
