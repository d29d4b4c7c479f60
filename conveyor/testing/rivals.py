"""Rivals: tasks, threads and processes that fetch from one store at once, to see that no job goes to two of them."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing.crowd import in_processes, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData

__all__ = ["FetchMode", "Haul", "Rivalry", "fetch_all", "fetch_in_processes", "fetch_in_threads"]

LOCK: Final = timedelta(seconds=60)
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
    return _by_rivalry(in_threads(url, partial(_fetch_each, rivalries), threads=threads, backend=backend))


def fetch_in_processes(
    url: str, rivalries: Sequence[Rivalry], *, processes: int, backend: str = "asyncio"
) -> list[list[Haul]]:
    """Do with processes what `fetch_in_threads` does with threads.

    Raises:
        EOFError: a process ended without a word; its own error is on the standard error.
    """
    return _by_rivalry(in_processes(url, partial(_fetch_each, rivalries), processes=processes, backend=backend))


async def _fetch_each(rivalries: Sequence[Rivalry], store: Store, start: Callable[[], object]) -> list[Haul]:
    return [await fetch_all(store, one, start) for one in rivalries]


def _by_rivalry(hauls: list[list[Haul]]) -> list[list[Haul]]:
    return [list(of_one) for of_one in zip(*hauls, strict=True)]


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
