"""Rivals: processes that fetch from one store at the same time, for seeing that no job goes to two of them."""

from __future__ import annotations

import multiprocessing
import os
import secrets
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from threading import Barrier

__all__ = ["Haul", "fetch_as_rivals"]

LOCK: Final = timedelta(seconds=60)
PATIENCE_SECONDS: Final = 30
AT_ONCE: Final = 7


class Haul(NamedTuple):
    """What one process got: the ids of its jobs in order, and of those whose end the store refused."""

    fetched: list[str]
    refused: list[str]


def fetch_as_rivals(url: str, queue_name: str, *, processes: int, backend: str = "asyncio") -> list[Haul]:
    """Let so many processes fetch and complete the jobs of a queue until none is left; return what each got.

    Raises:
        EOFError: a process ended without a word; its own error is on the standard error.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    rivals = [
        context.Process(target=_fetch_all, args=(url, queue_name, backend, start, sender), daemon=True)
        for _, sender in pipes
    ]
    for rival, (_, sender) in zip(rivals, pipes, strict=True):
        rival.start()
        sender.close()
    try:
        return [Haul(*receiver.recv()) for receiver, _ in pipes]
    finally:
        for rival, (receiver, _) in zip(rivals, pipes, strict=True):
            receiver.close()
            rival.join(PATIENCE_SECONDS)
            rival.kill()


def _fetch_all(url: str, queue_name: str, backend: str, start: Barrier, sender: Connection) -> None:
    haul = anyio.run(partial(_fetch, url, queue_name, start), backend=backend)
    sender.send(tuple(haul))
    sender.close()


async def _fetch(url: str, queue_name: str, start: Barrier) -> Haul:
    haul = Haul([], [])
    session = SessionInfo(secrets.token_hex(16), hostname="rival", pid=os.getpid(), backend="rival")
    async with open_store(url) as store:
        await store.sessions.open(session, LOCK)
        await anyio.to_thread.run_sync(start.wait, PATIENCE_SECONDS)
        number = 1
        wants = [Want(queue_name, AT_ONCE)]
        while jobs := await store.jobs.fetch_jobs(wants, session.id, LOCK, fetch_number=number):
            number += 1
            haul.fetched.extend(job.id for job in jobs)
            report = await store.jobs.settle_jobs([settle_completed(job, None) for job in jobs])
            haul.refused.extend(refusal.job_id for refusal in report.refused)
        await store.sessions.close(session.id)
    return haul
