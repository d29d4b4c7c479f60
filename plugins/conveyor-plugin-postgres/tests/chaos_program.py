"""A worker or a producer of the chaos test: a process to be killed. It keeps a ledger apart from the database.

python chaos_program.py worker asyncio URL LEDGER
python chaos_program.py producer trio URL LEDGER
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio

from conveyor import Conveyor, JobContext, fixed
from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOCK: Final = timedelta(seconds=2)
AT_ONCE: Final = 4
PAUSE_SECONDS: Final = 0.1


class Ledger:
    """A file that many processes write to, whole lines at a time."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words: object) -> None:
        os.write(self._file, f"{' '.join(map(str, words))}\n".encode())


def make_app(url: str, ledger: Ledger) -> Conveyor:
    app = Conveyor(url)
    queue = app.queue("chaos", attempts=10_000, backoff=fixed("100ms"))

    async def noted(context: JobContext, work: Callable[[], Awaitable[object]]) -> None:
        token = context.job.token
        assert token is not None
        run = (context.job.id, f"{token.session_id}-{token.fetch_number}")
        ledger.write("run", *run, time.monotonic())
        try:
            await work()
        except BaseException as exc:
            ledger.write("broken", *run, type(exc).__name__)
            raise
        ledger.write("end", *run)

    @queue.job()
    async def plain(context: JobContext, number: int) -> None:
        await noted(context, lambda: anyio.sleep(number % 7 * 0.02))

    @queue.job()
    async def booked(context: JobContext, number: int) -> None:
        async def book() -> None:
            async with context.transaction() as connection:
                await connection.execute("insert into effects values ($1)", context.job.id)
                await anyio.sleep(number % 5 * 0.02)

        await noted(context, book)

    return app


async def work(url: str, ledger: Ledger) -> None:
    """Work until SIGTERM. What ends a worker that was open is a failure, and this process's."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        while True:
            async with AsyncExitStack() as stack:
                app = make_app(url, ledger)
                try:
                    await stack.enter_async_context(app)
                except StoreUnavailableError:
                    await anyio.sleep(PAUSE_SECONDS)
                    continue
                worker = app.worker(
                    "chaos", concurrency=AT_ONCE, lock_duration=LOCK, stalled_interval="1s", max_stalled=10_000
                )
                async with worker:
                    async for _ in signals:
                        return


async def produce(url: str, ledger: Ledger) -> None:
    """Add jobs, each until the add is acknowledged, until SIGTERM."""
    is_over = anyio.Event()

    async def wait() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                is_over.set()
                return

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        number = 0
        while not is_over.is_set():
            async with AsyncExitStack() as stack:
                app = make_app(url, ledger)
                try:
                    await stack.enter_async_context(app)
                except StoreUnavailableError:
                    await anyio.sleep(PAUSE_SECONDS)
                    continue
                while not is_over.is_set():
                    number += 1
                    await add(app, ledger, number)
                    await anyio.sleep(PAUSE_SECONDS / 4)


async def add(app: Conveyor, ledger: Ledger, number: int) -> None:
    job_id = f"{os.getpid()}-{number}"
    while True:
        try:
            await app.queue("chaos").add(("plain", "booked")[number % 2], {"number": number}, job_id=job_id)
        except StoreUnavailableError:
            await anyio.sleep(PAUSE_SECONDS)
        else:
            ledger.write("added", job_id)
            return


if __name__ == "__main__":
    role, backend, *arguments = sys.argv[1:]
    anyio.run({"worker": work, "producer": produce}[role], arguments[0], Ledger(arguments[1]), backend=backend)
