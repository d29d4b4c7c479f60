"""Rivals: tasks, threads and processes that fetch from one store at once, to see that no job goes to two of them."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
import anyio.to_thread

from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from threading import Barrier

    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData

__all__ = ["FetchMode", "Haul", "Rivalry", "fetch_all", "fetch_in_processes", "fetch_in_threads"]

LOCK: Final = timedelta(seconds=60)
PATIENCE_SECONDS: Final = 30
AT_ONCE: Final = 7


class FetchMode(StrEnum):
    """The ways to fetch, each of which a store may have a statement of its own for."""

    PLAIN = "plain"
    LIFO = "lifo"
    NAMED = "named"
    SUSPECT = "suspect"
    SETTLING = "settling"


class Haul(NamedTuple):
    """What one rival got: the ids of its jobs in order, and of those whose end the store refused."""

    fetched: list[str]
    refused: list[str]


class Rivalry(NamedTuple):
    """What rivals fetch: from which queue, and how. NAMED wants each of `names` apart."""

    queue_name: str
    mode: FetchMode = FetchMode.PLAIN
    names: Sequence[str] = ()

    def wants(self) -> list[Want]:
        """Return what one fetch asks for."""
        match self.mode:
            case FetchMode.NAMED:
                return [Want(self.queue_name, AT_ONCE, job_name=name) for name in self.names]
            case FetchMode.SUSPECT:
                return [Want(self.queue_name, 1, is_suspect=True)]
            case FetchMode.PLAIN | FetchMode.LIFO | FetchMode.SETTLING:
                return [Want(self.queue_name, AT_ONCE, lifo=self.mode is FetchMode.LIFO)]


async def fetch_all(store: Store, rivalry: Rivalry, start: Callable[[], object] = lambda: None) -> Haul:
    """Fetch and complete jobs, in a session of its own, until none is left.

    Args:
        store: an open store.
        rivalry: what to fetch.
        start: called in a thread before the first fetch; it may block until the others are there as well.
    """
    session = SessionInfo(secrets.token_hex(16), hostname="rival", pid=os.getpid(), backend="rival")
    await store.sessions.open(session, LOCK)
    await anyio.to_thread.run_sync(start)
    haul = await _Rival(store, session.id, rivalry).fetch_all()
    await store.sessions.close(session.id)
    return haul


def fetch_in_threads(
    url: str, rivalries: Sequence[Rivalry], *, threads: int, backend: str = "asyncio"
) -> list[list[Haul]]:
    """Let so many threads, each with an event loop and an opening of its own, fetch one rivalry after the other.

    Returns:
        for each rivalry, what each thread got.
    """
    start = threading.Barrier(threads)

    def run() -> list[Haul]:
        return anyio.run(_open_and_fetch, url, rivalries, start, backend=backend)

    with ThreadPoolExecutor(threads) as pool:
        hauls = [rival.result(PATIENCE_SECONDS) for rival in [pool.submit(run) for _ in range(threads)]]
    return [list(of_one) for of_one in zip(*hauls, strict=True)]


def fetch_in_processes(
    url: str, rivalries: Sequence[Rivalry], *, processes: int, backend: str = "asyncio"
) -> list[list[Haul]]:
    """Do with processes what `fetch_in_threads` does with threads.

    Raises:
        EOFError: a process ended without a word; its own error is on the standard error.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    rivals = [
        context.Process(target=_fetch_and_send, args=(url, rivalries, backend, start, sender), daemon=True)
        for _, sender in pipes
    ]
    for rival, (_, sender) in zip(rivals, pipes, strict=True):
        rival.start()
        sender.close()
    try:
        hauls = [[Haul(*haul) for haul in receiver.recv()] for receiver, _ in pipes]
    finally:
        for rival, (receiver, _) in zip(rivals, pipes, strict=True):
            receiver.close()
            rival.join(PATIENCE_SECONDS)
            rival.kill()
    return [list(of_one) for of_one in zip(*hauls, strict=True)]


def _fetch_and_send(url: str, rivalries: Sequence[Rivalry], backend: str, start: Barrier, sender: Connection) -> None:
    hauls = anyio.run(_open_and_fetch, url, rivalries, start, backend=backend)
    sender.send([tuple(haul) for haul in hauls])
    sender.close()


async def _open_and_fetch(url: str, rivalries: Sequence[Rivalry], start: Barrier) -> list[Haul]:
    async with open_store(url) as store:
        return [await fetch_all(store, one, partial(start.wait, PATIENCE_SECONDS)) for one in rivalries]


class _Rival:
    """One session that fetches and settles."""

    def __init__(self, store: Store, session_id: str, rivalry: Rivalry) -> None:
        self._store = store
        self._session_id = session_id
        self._rivalry = rivalry
        self._number = 0
        self._haul = Haul([], [])

    async def fetch_all(self) -> Haul:
        jobs = await self._fetch()
        while jobs:
            self._haul.fetched.extend(job.id for job in jobs)
            if self._rivalry.mode is FetchMode.SETTLING:
                jobs = await self._settle(jobs, self._rivalry.wants())
            else:
                await self._settle(jobs)
                jobs = await self._fetch()
        return self._haul

    async def _fetch(self) -> Sequence[JobData]:
        self._number += 1
        wants = self._rivalry.wants()
        return await self._store.jobs.fetch_jobs(wants, self._session_id, LOCK, fetch_number=self._number)

    async def _settle(self, jobs: Sequence[JobData], wants: Sequence[Want] = ()) -> Sequence[JobData]:
        self._number += 1
        settlements = [settle_completed(job, None) for job in jobs]
        report = await self._store.jobs.settle_jobs(
            settlements, wants, self._session_id, LOCK, fetch_number=self._number
        )
        self._haul.refused.extend(refusal.job_id for refusal in report.refused)
        return report.jobs
