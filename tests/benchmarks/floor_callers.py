"""The floor of concurrent single adds: a hundred tasks, one thread, one commit for whoever waits, and nothing more."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeAlias

import anyio

from conveyor._builtin.sqlite.loop import EventLoop

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from conveyor._builtin.sqlite.inserting import JobRow, LiveRow

__all__ = ["sqlite_add_concurrent"]

Rows: TypeAlias = "tuple[JobRow, LiveRow]"
Insert: TypeAlias = "Callable[[sqlite3.Connection, Sequence[Rows]], None]"
Group: TypeAlias = tuple[list[Rows], anyio.Event]

CALLERS = 100


def sqlite_add_concurrent(connection: sqlite3.Connection, rows: Iterator[Rows], backend: str, insert: Insert) -> float:
    """Return adds per second."""
    return anyio.run(_measure, connection, list(rows), insert, backend=backend)


async def _measure(connection: sqlite3.Connection, rows: list[Rows], insert: Insert) -> float:
    groups: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
    loop = EventLoop()
    gathering: Group | None = None
    thread = threading.Thread(target=_write, args=(connection, insert, groups, loop))
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


def _write(
    connection: sqlite3.Connection, insert: Insert, groups: queue.SimpleQueue[Group | None], loop: EventLoop
) -> None:
    while (group := groups.get()) is not None:
        rows, done = group
        connection.execute("begin immediate")
        insert(connection, rows)
        connection.execute("commit")
        loop.post(done.set)
