"""A floor of flushing: SQLite's own statements over what is in a buffer, and the least that unites it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.inserting import insert_jobs, insert_live
from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.statements import sql
from tests.benchmarks.floors import bare_rows, micros, open_bare

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from conveyor._builtin.sqlite.inserting import JobRow, LiveRow

__all__ = ["sqlite_flush"]

CHUNK: Final = 10_000
DIGEST: Final = b"0" * 16


def sqlite_flush(folder: Path, jobs: int, into: int) -> float:
    """Take, unite, remove and add in chunks of ten thousand, each in one transaction; return the seconds."""
    connection = open_bare(folder)
    connection.execute("begin immediate")
    for number in range(jobs):
        payload = json.dumps({"numbers": [number], "shop": number * into // jobs}).encode()
        asked = (None, None, None, None, len(payload), "b", micros())
        connection.execute(sql("buffers/add"), (number + 1, f"buffered-{number}", "floor", "noop", payload, *asked))
    connection.execute("commit")
    added = list(bare_rows(into))
    begun = time.perf_counter()
    for start in range(0, into, into * CHUNK // jobs):
        _flush_chunk(connection, added[start : start + into * CHUNK // jobs])
    return time.perf_counter() - begun


def _flush_chunk(connection: sqlite3.Connection, added: list[tuple[JobRow, LiveRow]]) -> None:
    connection.execute("begin immediate")
    taken = connection.execute(sql("buffers/take_jobs"), ("b", CHUNK)).fetchall()
    united: dict[int, tuple[str, list[int]]] = {}
    merged: list[tuple[str, str]] = []
    for job_id, _, _, payload, *_ in taken:
        data = json.loads(payload)
        first, numbers = united.setdefault(data["shop"], (job_id, []))
        numbers.extend(data["numbers"])
        merged.append((job_id, first))
    payloads = [json.dumps({"numbers": numbers, "shop": shop}).encode() for shop, (_, numbers) in united.items()]
    rows = [(*job[:4], payload, *job[5:]) for (job, _), payload in zip(added, payloads, strict=True)]
    insert_jobs(connection, rows)
    insert_live(connection, [live for _, live in added])
    connection.execute(sql("buffers/commit_traces"), (as_json(merged), DIGEST * len(merged), len(DIGEST), micros()))
    connection.execute(sql("buffers/commit_remove"), (as_json([job_id for job_id, _ in merged]),))
    connection.execute("commit")
