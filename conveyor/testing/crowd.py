"""Crowds: threads and processes that do the same to one store at once, each with an opening of its own."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import anyio

from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from threading import Barrier

    from conveyor.contracts.store import Store

__all__ = ["Work", "in_processes", "in_threads"]

T = TypeVar("T")

PATIENCE_SECONDS: Final = 30

# What each of them does: given the open store, and what blocks a thread until the others are there as well.
Work: TypeAlias = "Callable[[Store, Callable[[], object]], Awaitable[T]]"


def in_threads(url: str, work: Work[T], *, threads: int, backend: str = "asyncio") -> list[T]:
    """Let so many threads, each with an event loop of its own, do it; return what each of them answered."""
    start = threading.Barrier(threads)

    def run() -> T:
        return anyio.run(_open_and_work, url, work, start, backend=backend)

    with ThreadPoolExecutor(threads) as pool:
        return [member.result(PATIENCE_SECONDS) for member in [pool.submit(run) for _ in range(threads)]]


def in_processes(url: str, work: Work[T], *, processes: int, backend: str = "asyncio") -> list[T]:
    """Do with processes what `in_threads` does with threads; work and answers are pickled.

    Raises:
        EOFError: a process ended without a word; its own error is on the standard error.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    members = [
        context.Process(target=_work_and_send, args=(url, work, backend, start, sender), daemon=True)
        for _, sender in pipes
    ]
    for member, (_, sender) in zip(members, pipes, strict=True):
        member.start()
        sender.close()
    try:
        return [receiver.recv() for receiver, _ in pipes]
    finally:
        for member, (receiver, _) in zip(members, pipes, strict=True):
            receiver.close()
            member.join(PATIENCE_SECONDS)
            member.kill()


def _work_and_send(url: str, work: Work[object], backend: str, start: Barrier, sender: Connection) -> None:
    sender.send(anyio.run(_open_and_work, url, work, start, backend=backend))
    sender.close()


async def _open_and_work(url: str, work: Work[T], start: Barrier) -> T:
    async with open_store(url) as store:
        return await work(store, partial(start.wait, PATIENCE_SECONDS))
