"""Reading single jobs, their log lines and their attempts from SQLite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.rows import attempt_from_row, ending_from_row, from_micros, job_from_row, log_from_row
from conveyor._builtin.sqlite.statements import sql
from conveyor.errors import JobNotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from conveyor.model.job import Attempt, Ending, JobData, LogEntry

__all__ = [
    "find_endings",
    "find_job",
    "find_jobs",
    "get_attempts",
    "get_job",
    "get_logs",
    "get_next_delayed_timestamp",
    "get_suspect_queues",
    "look_for_job",
]


def get_job(connection: sqlite3.Connection, queue_name: str, job_id: str) -> JobData | None:
    """Return the job where this queue has it."""
    row = connection.execute(sql("jobs/get_job"), (job_id, queue_name)).fetchone()
    return None if row is None else job_from_row(row)


def look_for_job(connection: sqlite3.Connection, job_id: str) -> JobData | None:
    """Return the job, or None."""
    row = connection.execute(sql("jobs/find_job"), (job_id,)).fetchone()
    return None if row is None else job_from_row(row)


def find_job(connection: sqlite3.Connection, job_id: str) -> JobData:
    """Return the job.

    Raises:
        JobNotFoundError: there is none.
    """
    job = look_for_job(connection, job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def find_jobs(connection: sqlite3.Connection, job_ids: Sequence[str]) -> Mapping[str, JobData]:
    """Return those of the jobs that exist, by id."""
    rows = connection.execute(sql("jobs/find_jobs"), (json.dumps(list(job_ids)),))
    return {row[0]: job_from_row(row) for row in rows}


def find_endings(connection: sqlite3.Connection, job_ids: Sequence[str]) -> Mapping[str, Ending]:
    """Return how those of the jobs ended that left no record, by id."""
    endings: dict[str, Ending] = {}
    for job_id, *row in connection.execute(sql("jobs/find_endings"), (json.dumps(list(job_ids)),)):
        endings.setdefault(job_id, ending_from_row(row))
    return endings


def get_logs(connection: sqlite3.Connection, job_id: str, start: int, end: int) -> Sequence[LogEntry]:
    """Return lines of a job, oldest first."""
    first = max(start, 0)
    rows = connection.execute(sql("jobs/get_logs"), (job_id, max(end - first, 0), first))
    return [log_from_row(row) for row in rows]


def get_attempts(connection: sqlite3.Connection, job_id: str) -> Sequence[Attempt]:
    """Return the runs of a job that ended, oldest first."""
    rows = connection.execute(sql("jobs/get_attempts"), (job_id,)).fetchall()
    rows += connection.execute(sql("jobs/get_attempts_last"), (job_id,)).fetchall()
    return [attempt_from_row(row) for row in rows]


def get_next_delayed_timestamp(connection: sqlite3.Connection, queue_names: Sequence[str]) -> datetime | None:
    """Return when the next delayed job of these queues is due."""
    found = (connection.execute(sql("jobs/get_next_delayed_timestamp"), (name,)).fetchone()[0] for name in queue_names)
    due = min((at for at in found if at is not None), default=None)
    return None if due is None else from_micros(due)


def get_suspect_queues(connection: sqlite3.Connection, queue_names: Sequence[str]) -> Sequence[str]:
    """Return the queues that have a suspect to fetch."""
    statement = sql("jobs/get_suspect_queues")
    return [name for name in dict.fromkeys(queue_names) if connection.execute(statement, (name,)).fetchone()]
