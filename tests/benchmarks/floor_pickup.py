"""The floor of a pickup: a commit that waits for the disk, one that does not, and two trips to a thread and back."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import anyio

from conveyor._builtin.sqlite.loop import EventLoop
from conveyor._builtin.sqlite.statements import sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["BarePickups", "bare_pickups"]

Row: TypeAlias = tuple[object, ...]
Work: TypeAlias = "tuple[Callable[[], None], anyio.Event] | None"


class BarePickups:
    """Adds a row and locks it, on a thread, with nothing around."""

    def __init__(self, connection: sqlite3.Connection, rows: Iterator[tuple[Row, Row]]) -> None:
        """Take a connection whose schema is in place; only the thread uses it from now on."""
        self._connection = connection
        self._rows = rows
        self._number = 0
        self._loop = EventLoop()
        self.works: queue.SimpleQueue[Work] = queue.SimpleQueue()

    async def sample(self) -> float:
        """Return the milliseconds from the add to its answer to the fetch."""
        started = time.perf_counter()
        await self._run(self._add)
        await self._run(self._fetch)
        return (time.perf_counter() - started) * 1000

    def serve(self) -> None:
        """Do what is asked, on the thread, until None is."""
        while (work := self.works.get()) is not None:
            work[0]()
            self._loop.post(work[1].set)

    async def _run(self, act: Callable[[], None]) -> None:
        done = anyio.Event()
        self.works.put((act, done))
        await done.wait()

    def _add(self) -> None:
        job, live = next(self._rows)
        self._connection.execute("pragma synchronous = full")
        self._connection.execute("begin immediate")
        self._connection.execute(sql("jobs/save_jobs"), job)
        self._connection.execute(sql("jobs/save_jobs_live"), live)
        self._connection.execute("commit")

    def _fetch(self) -> None:
        self._number += 1
        lock = ("floor", self._number)
        self._connection.execute("pragma synchronous = normal")
        self._connection.execute("begin immediate")
        self._connection.execute(sql("jobs/fetch_jobs"), (*lock, 0, "floor", 1))
        self._connection.execute(sql("jobs/fetch_jobs_locked"), lock).fetchall()
        self._connection.execute("commit")


@asynccontextmanager
async def bare_pickups(connection: sqlite3.Connection, rows: Iterator[tuple[Row, Row]]) -> AsyncIterator[BarePickups]:
    """Run the thread meanwhile."""
    pickups = BarePickups(connection, rows)
    thread = threading.Thread(target=pickups.serve)
    thread.start()
    try:
        yield pickups
    finally:
        pickups.works.put(None)
        thread.join()
