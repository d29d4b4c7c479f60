"""The floor of concurrent single adds: a hundred tasks, one thread, one commit for whoever waits, and nothing more."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeAlias

import anyio

from conveyor._builtin.sqlite.inserting import insert_jobs, insert_live
from conveyor._builtin.sqlite.loop import EventLoop

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from conveyor._builtin.sqlite.inserting import JobRow, LiveRow

__all__ = ["sqlite_add_concurrent"]

Rows: TypeAlias = "tuple[JobRow, LiveRow]"
Group: TypeAlias = tuple[list[Rows], anyio.Event]

CALLERS = 100


def sqlite_add_concurrent(connection: sqlite3.Connection, rows: Iterator[Rows], backend: str) -> float:
    """Return adds per second."""
    return anyio.run(_measure, connection, list(rows), backend=backend)


async def _measure(connection: sqlite3.Connection, rows: list[Rows]) -> float:
    groups: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
    loop = EventLoop()
    gathering: Group | None = None
    thread = threading.Thread(target=_write, args=(connection, groups, loop))
    thread.start()

    def hand_over() -> None:
        nonlocal gathering
        groups.put(gathering)
        gathering = None

    async def call(own: list[Rows]) -> None:
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
        insert_jobs(connection, [job for job, _ in rows])
        insert_live(connection, [live for _, live in rows])
        connection.execute("commit")
        loop.post(done.set)
