"""Floors as anybody would write them: a statement for each row, in transactions of the same size.

The store itself adds, and settles, up to a thousand jobs by one statement, so it may be faster than these.
Each returns jobs per second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.statements import sql
from tests.benchmarks import floor_callers
from tests.benchmarks.floors import BATCH, BULK, SESSION, bare_rows, micros, open_bare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from conveyor._builtin.sqlite.inserting import JobRow, LiveRow

__all__ = ["sqlite_add_concurrent", "sqlite_add_many", "sqlite_process"]

SETTLE: Final = """
insert into conveyor_history (seq, queue, state, priority, attempts_made, stalled_count, run_at, started_at,
                              finished_at, session_id, fetch_number, progress, attempt, outcome)
select seq, queue, 'completed', priority, attempts_made + 1, stalled_count, run_at, started_at, ?4,
       session_id, fetch_number, progress, attempts_made + 1, 'completed'
from conveyor_live
where seq = ?1 and session_id = ?2 and fetch_number = ?3 and state = 'active'
"""
END: Final = "delete from conveyor_live where seq = ?1 and session_id = ?2 and fetch_number = ?3 and state = 'active'"
HELD: Final = """
select live.seq, jobs.id, jobs.name, payload, options
from conveyor_live as live
join conveyor_jobs as jobs on jobs.seq = live.seq
where session_id = ?1 and fetch_number = ?2 and state = 'active'
"""


def sqlite_add_many(folder: Path, jobs: int) -> float:
    """Insert in transactions of a thousand."""
    connection = open_bare(folder)
    rows = list(bare_rows(jobs))
    started = time.perf_counter()
    for first in range(0, jobs, BULK):
        connection.execute("begin immediate")
        insert(connection, rows[first : first + BULK])
        connection.execute("commit")
    return jobs / (time.perf_counter() - started)


def sqlite_add_concurrent(folder: Path, jobs: int, backend: str) -> float:
    """Insert for a hundred callers, one job each at a time."""
    return floor_callers.sqlite_add_concurrent(open_bare(folder), bare_rows(jobs), backend, insert)


def sqlite_process(folder: Path, jobs: int) -> float:
    """Fetch a hundred and settle the hundred before, in one transaction, until all are done."""
    connection = open_bare(folder)
    insert(connection, list(bare_rows(jobs)))
    settled = number = 0
    held: list[int] = []
    started = time.perf_counter()
    while settled < jobs:
        now = micros()
        connection.execute("begin immediate")
        connection.executemany(SETTLE, [(seq, SESSION, number, now) for seq in held])
        connection.executemany(END, [(seq, SESSION, number) for seq in held])
        settled += len(held)
        number += 1
        connection.execute(sql("jobs/fetch_jobs"), (SESSION, number, now, "floor", BATCH))
        held = [row[0] for row in connection.execute(HELD, (SESSION, number)).fetchall()]
        connection.execute("commit")
    return jobs / (time.perf_counter() - started)


def insert(connection: sqlite3.Connection, rows: Sequence[tuple[JobRow, LiveRow]]) -> None:
    """Insert jobs, row by row."""
    connection.executemany(sql("jobs/save_jobs"), [job for job, _ in rows])
    connection.executemany(sql("jobs/save_jobs_live"), [live for _, live in rows])
