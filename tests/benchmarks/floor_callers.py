"""The floor of concurrent single adds: a hundred tasks, one thread, one commit for whoever waits, and nothing more."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeAlias

import anyio

from conveyor._builtin.sqlite.loop import EventLoop
from conveyor._builtin.sqlite.statements import sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

__all__ = ["sqlite_add_concurrent"]

Row: TypeAlias = tuple[object, ...]
Group: TypeAlias = tuple[list[tuple[Row, Row]], anyio.Event]

CALLERS = 100


def sqlite_add_concurrent(connection: sqlite3.Connection, rows: Iterator[tuple[Row, Row]], backend: str) -> float:
    """Return adds per second."""
    return anyio.run(_measure, connection, list(rows), backend=backend)


async def _measure(connection: sqlite3.Connection, rows: list[tuple[Row, Row]]) -> float:
    groups: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
    loop = EventLoop()
    gathering: Group | None = None
    thread = threading.Thread(target=_write, args=(connection, groups, loop))
    thread.start()

    def hand_over() -> None:
        nonlocal gathering
        groups.put(gathering)
        gathering = None

    async def call(own: list[tuple[Row, Row]]) -> None:
        nonlocal gathering
        for row in own:
            if gathering is None:
                gathering = ([], anyio.Event())
                loop.post(hand_over)
            group = gathering
            group[0].append(row)
            await group[1].wait()

    started = time.perf_counter()
    async with anyio.create_task_group() as callers:
        for number in range(CALLERS):
            callers.start_soon(call, rows[number::CALLERS])
    seconds = time.perf_counter() - started
    groups.put(None)
    thread.join()
    return len(rows) / seconds


def _write(connection: sqlite3.Connection, groups: queue.SimpleQueue[Group | None], loop: EventLoop) -> None:
    while (group := groups.get()) is not None:
        rows, done = group
        connection.execute("begin immediate")
        connection.executemany(sql("jobs/save_jobs"), [job for job, _ in rows])
        connection.executemany(sql("jobs/save_jobs_live"), [live for _, live in rows])
        connection.execute("commit")
        loop.post(done.set)
