"""A worker that must come through a fault, and who causes it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import psycopg

from conveyor import Conveyor, JobContext, fixed
from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from conveyor.contracts.clock import Clock


__all__ = ["CUT_ALL", "DEADLINE_SECONDS", "LOCK", "QUEUE", "do", "eventually", "go_through"]

DEADLINE_SECONDS: Final = 60
QUEUE: Final = "orders"
LOCK: Final = timedelta(seconds=1)
CUT_ALL: Final = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'conveyor'"


def do(url: str, sql: str) -> list[Any]:
    """Run a statement as somebody else."""
    with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


async def eventually(work: Callable[[], Awaitable[object]]) -> None:
    """Do something as soon as the store can be used."""
    while True:
        try:
            await work()
        except StoreUnavailableError:
            await anyio.sleep(0.02)
        else:
            return


async def go_through(
    url: str,
    fault: Callable[[], Coroutine[Any, Any, None]],
    jobs: int = 60,
    *,
    clock: Clock | None = None,
    holding_seconds: float = 0,
) -> None:
    """Let a worker run jobs, some of them in transactions, while a fault happens; each must complete, once.

    Args:
        url: the store.
        fault: what happens meanwhile.
        jobs: how many are added.
        clock: the app's; None: its own.
        holding_seconds: how long each transaction lasts.
    """
    app = Conveyor(url, clock=clock)
    queue = app.queue(QUEUE, attempts=1000, backoff=fixed("100ms"))
    runs: list[str] = []

    @queue.job()
    async def pack(context: JobContext, number: int) -> None:
        runs.append(context.job.id)
        if number % 2:
            async with context.transaction() as connection:
                await connection.execute("insert into packed values ($1)", context.job.id)
                await anyio.sleep(holding_seconds)

    do(url, "drop table if exists packed; create table packed (id text)")
    worker = app.worker(QUEUE, lock_duration=LOCK, stalled_interval="200ms", max_stalled=1000)
    async with AsyncExitStack() as stack:
        # As soon as may be: a limit that is to be met later on can be too short for a busy machine's first connection.
        await eventually(lambda: stack.enter_async_context(app))
        await eventually(lambda: stack.enter_async_context(worker))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fault)
            for number in range(jobs):
                await eventually(partial(queue.add, "pack", {"number": number}, job_id=f"{number}"))
                await anyio.sleep(0.01)
        with anyio.fail_after(DEADLINE_SECONDS):
            while do(url, "select count(*) from conveyor.live") != [(0,)]:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.05)
    rows = do(url, "select id, state from conveyor.history")
    assert sorted(rows) == sorted((f"{number}", "completed") for number in range(jobs))
    packed = [number for (number,) in do(url, "select id from packed")]
    assert sorted(packed) == sorted(f"{number}" for number in range(jobs) if number % 2)
    assert set(runs) == {f"{number}" for number in range(jobs)}
