"""What a fetch costs, and what a waiting job takes, in front of ever more jobs that wait or have ended."""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.model.groups import Group
from conveyor.model.job import NewJob
from conveyor.model.locks import Lock
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData

__all__ = ["SIZES", "measure_finished", "measure_grouped", "measure_waiting"]

SIZES: Final = (1_000, 100_000, 1_000_000)
FETCHES: Final = 50
BATCH: Final = 100
BULK: Final = 1000
SESSION: Final = "f" * 32
QUEUE: Final = "backlog"
LOCK_DURATION: Final = timedelta(hours=1)
OPTIONS: Final = JobOptions()
IN_GROUP: Final = 100


async def measure_waiting(url: str) -> Mapping[str, float]:
    """Return what a fetch costs per job, by the number that wait, and the bytes that each of them takes."""
    figures: dict[str, float] = {}
    async with open_store(url) as store:
        backlog = _Backlog(store)
        await backlog.open()
        peaks: list[int] = []
        for size in SIZES:
            await backlog.add_up_to(size)
            peaks.append(_peak_bytes())
            figures[f"fetch_us_waiting_{size}"] = await backlog.time_fetches()
        if not store.capabilities.is_durable:  # what a file holds is not in this process
            figures["bytes_per_waiting"] = (peaks[-1] - peaks[0]) / (SIZES[-1] - SIZES[0])
    return figures


async def measure_finished(url: str) -> Mapping[str, float]:
    """Return what a fetch costs per job in front of a thousand that wait, by the number that have ended."""
    figures: dict[str, float] = {}
    async with open_store(url) as store:
        backlog = _Backlog(store)
        await backlog.open()
        for size in SIZES:
            await backlog.finish_up_to(size)
            await backlog.add_up_to(size + SIZES[0])
            figures[f"fetch_us_finished_{size}"] = await backlog.time_fetches()
    return figures


async def measure_grouped(url: str) -> Mapping[str, float]:
    """Return what a fetch costs per job, by the number that wait, a hundred in each group."""
    figures: dict[str, float] = {}
    async with open_store(url) as store:
        backlog = _Backlog(store, in_group=IN_GROUP)
        await backlog.open()
        for size in SIZES:
            await backlog.add_up_to(size)
            figures[f"fetch_us_groups_{size // IN_GROUP}"] = await backlog.time_fetches()
    return figures


class _Backlog:
    def __init__(self, store: Store, *, in_group: int | None = None) -> None:
        self._store = store
        self._in_group = in_group
        self._added = self._finished = self._number = 0

    async def open(self) -> None:
        await self._store.sessions.open(SessionInfo(SESSION, "here", os.getpid(), "none"), LOCK_DURATION)

    async def add_up_to(self, size: int) -> None:
        while self._added < size:
            numbers = range(self._added, min(self._added + BULK, size))
            payload = b'{"number":12345}'
            jobs = [NewJob(f"01a20131-{n:027x}", QUEUE, "noop", payload, self._options(n)) for n in numbers]
            await self._store.jobs.save_jobs(jobs)
            self._added = numbers.stop

    def _options(self, number: int) -> JobOptions:
        return JobOptions(group=Group(f"group-{number // self._in_group}")) if self._in_group else OPTIONS

    async def finish_up_to(self, size: int) -> None:
        while self._finished < size:
            await self.add_up_to(min(self._finished + BULK, size))
            jobs = await self._fetch(BULK)
            await self._store.jobs.settle_jobs([settle_completed(job, None) for job in jobs])
            self._finished += len(jobs)

    async def time_fetches(self) -> float:
        seconds: list[float] = []
        for _ in range(FETCHES):
            started = time.perf_counter()
            jobs = await self._fetch(BATCH)
            seconds.append(time.perf_counter() - started)
            assert len(jobs) == BATCH
            await self._store.jobs.release_locks([Lock(job.id, job.token) for job in jobs if job.token])
        return statistics.median(seconds) / BATCH * 1e6

    async def _fetch(self, limit: int) -> Sequence[JobData]:
        self._number += 1
        wants = [Want(QUEUE, limit)]
        return await self._store.jobs.fetch_jobs(wants, SESSION, LOCK_DURATION, fetch_number=self._number)


def _peak_bytes() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
