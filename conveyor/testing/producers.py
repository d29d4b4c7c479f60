"""Producers: threads and processes that add to one store at once, to see that one order explains their answers."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Barrier

    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["add_in_processes", "add_in_threads"]

PATIENCE_SECONDS: Final = 60

_barriers: list[Any] = []


def add_in_threads(url: str, shares: Sequence[Sequence[NewJob]], *, backend: str = "asyncio") -> list[list[AddReceipt]]:
    """Let a thread for each share, with an event loop and an opening of its own, add its jobs one by one.

    Returns:
        for each share, the answers in order.
    """
    start = threading.Barrier(len(shares))
    with ThreadPoolExecutor(len(shares)) as pool:
        adding = [pool.submit(_add_all, url, share, start.wait, backend) for share in shares]
        return [one.result(PATIENCE_SECONDS) for one in adding]


def add_in_processes(
    url: str, shares: Sequence[Sequence[NewJob]], *, backend: str = "asyncio"
) -> list[list[AddReceipt]]:
    """Do with processes what `add_in_threads` does with threads."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(shares))
    with ProcessPoolExecutor(len(shares), context, _keep_barrier, (start,)) as pool:
        adding = [pool.submit(_add_all, url, share, _wait_at_barrier, backend) for share in shares]
        return [one.result(PATIENCE_SECONDS) for one in adding]


def _keep_barrier(start: Barrier) -> None:
    # A barrier can be inherited by a process, and not be sent to it.
    _barriers.append(start)


def _wait_at_barrier(seconds: float) -> None:
    _barriers[0].wait(seconds)


def _add_all(url: str, jobs: Sequence[NewJob], start: Callable[[float], object], backend: str) -> list[AddReceipt]:
    async def add_all() -> list[AddReceipt]:
        async with open_store(url) as store:
            await anyio.to_thread.run_sync(partial(start, PATIENCE_SECONDS))
            return [await store.jobs.save_job(job) for job in jobs]

    return anyio.run(add_all, backend=backend)
