"""Floors: bare loops over the store's own statements, or its verbs, with nothing around them.

Each returns jobs per second. What conveyor does is measured as a share of these, in the same run, because the
machine's own speed moves by a quarter from one minute to the next.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._builtin.sqlite.connections import connect_writer
from conveyor._builtin.sqlite.inserting import insert_jobs, insert_live
from conveyor._builtin.sqlite.options import parse_url
from conveyor._builtin.sqlite.packing import as_json, lay_out
from conveyor._builtin.sqlite.schema import split_statements
from conveyor._builtin.sqlite.statements import load_migrations, sql
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing.stores import open_store
from tests.benchmarks import floor_callers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from conveyor._builtin.sqlite.inserting import JobRow, LiveRow

__all__ = [
    "BATCH",
    "BULK",
    "SESSION",
    "bare_rows",
    "memory_process",
    "micros",
    "open_bare",
    "sqlite_add_concurrent",
    "sqlite_add_many",
    "sqlite_process",
]

BATCH: Final = 100
BULK: Final = 1000
PAYLOAD: Final = b'{"number":12345}'
SESSION: Final = "f" * 32


def sqlite_add_many(folder: Path, jobs: int) -> float:
    """Insert in transactions of a thousand; the parameters of the two statements are made before."""
    connection = open_bare(folder)
    rows = list(bare_rows(jobs))
    bulks = [_bulk_parameters(rows[first : first + BULK]) for first in range(0, jobs, BULK)]
    started = time.perf_counter()
    for whole, live in bulks:
        connection.execute("begin immediate")
        connection.execute(sql("jobs/save_jobs_alike"), whole)
        connection.execute(sql("jobs/save_jobs_alike_live"), live)
        connection.execute("commit")
    return jobs / (time.perf_counter() - started)


def sqlite_add_concurrent(folder: Path, jobs: int, backend: str) -> float:
    """Insert for a hundred callers, one job each at a time."""
    return floor_callers.sqlite_add_concurrent(open_bare(folder), bare_rows(jobs), backend, _insert_together)


def sqlite_process(folder: Path, jobs: int) -> float:
    """Fetch a hundred and settle the hundred before, in one transaction, until all are done."""
    connection = open_bare(folder)
    for job, live in bare_rows(jobs):
        connection.execute(sql("jobs/save_jobs"), job)
        connection.execute(sql("jobs/save_jobs_live"), live)
    settled = number = 0
    held: list[str] = []
    started = time.perf_counter()
    while settled < jobs:
        now = micros()
        connection.execute("begin immediate")
        ids = as_json(held)
        connection.execute(sql("jobs/settle_jobs_history"), (ids, SESSION, number, "completed", now, "completed", 1))
        connection.execute(sql("jobs/settle_jobs"), (ids, SESSION, number))
        settled += len(held)
        number += 1
        connection.execute(sql("jobs/fetch_jobs"), (SESSION, number, now, "floor", BATCH))
        fetched = connection.execute(sql("jobs/fetch_jobs_locked"), (SESSION, number)).fetchall()
        connection.execute("commit")
        held = [row[0] for row in fetched]
    return jobs / (time.perf_counter() - started)


def memory_process(jobs: int, backend: str) -> float:
    """Call the memory store's own verbs by the hundred, and a handler that does nothing, without the runtime."""
    return anyio.run(_memory_process, jobs, backend=backend)


async def _memory_process(jobs: int) -> float:
    lock_duration = timedelta(seconds=30)

    async def handler() -> None: ...

    async with open_store("memory://") as store:
        new = [NewJob(str(number), "floor", "noop", PAYLOAD, JobOptions()) for number in range(jobs)]
        await store.jobs.save_jobs(new)
        await store.sessions.open(SessionInfo(SESSION, "here", os.getpid(), "none"), lock_duration)
        wants = [Want("floor", BATCH)]
        number = 1
        started = time.perf_counter()
        held = await store.jobs.fetch_jobs(wants, SESSION, lock_duration, fetch_number=number)
        while held:
            for _ in held:
                await handler()
            number += 1
            ends = [settle_completed(job, None) for job in held]
            report = await store.jobs.settle_jobs(ends, wants, SESSION, lock_duration, fetch_number=number)
            held = report.jobs
        return jobs / (time.perf_counter() - started)


def open_bare(folder: Path) -> sqlite3.Connection:
    """Return a connection to a new database with the store's tables."""
    connection = connect_writer(parse_url(f"sqlite:///{folder}/floor.db"))
    connection.execute("pragma wal_autocheckpoint = 4000")
    for migration in load_migrations():
        for statement in split_statements(migration.up):
            connection.execute(statement)
    return connection


def bare_rows(jobs: int) -> Iterator[tuple[JobRow, LiveRow]]:
    """Yield each job's rows in the tables jobs and live."""
    now = micros()
    for seq in range(1, jobs + 1):
        job_id = f"01a20131-239f-740c-965e-{seq:012x}"
        job = (seq, job_id, "floor", "noop", PAYLOAD, None, now, None)
        yield job, (seq, "floor", "noop", "waiting", 0, now, seq, now, None, None)


def _insert_together(connection: sqlite3.Connection, rows: Sequence[tuple[JobRow, LiveRow]]) -> None:
    insert_jobs(connection, [job for job, _ in rows])
    insert_live(connection, [live for _, live in rows])


def _bulk_parameters(rows: Sequence[tuple[JobRow, LiveRow]]) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Return the parameters of the statements that add many jobs."""
    payloads, places = lay_out([job[4] for job, _ in rows])
    ids = as_json([(job[0], job[1], *place) for (job, _), place in zip(rows, places, strict=True)])
    _, _, queue, name, _, *end = rows[0][0]
    _, _, _, state, priority, order_at, _, run_at, expires_at, group_id = rows[0][1]
    shared = (queue, name, state, priority, order_at, run_at, expires_at, group_id)
    live = (as_json([job[0] for job, _ in rows]), *shared)
    return (ids, queue, name, payloads, *end), live


def micros() -> int:
    """Return the time as the tables have it, in microseconds."""
    return int(datetime.now(UTC).timestamp() * 1e6)
