"""How fast a worker drains a queue: with nothing else there, a snapshot held elsewhere, or a million other jobs."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import asyncpg

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["main", "surroundings"]

CHUNK: Final = 2000
FILL: Final = {
    "waiting": """
insert into conveyor.live
  (id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, payload)
select 'w-' || n, n, 'drain', 'nothing', 'waiting', 9, n, n, now(), now(), '[1]' from generate_series(1, $1::int) as n
""",
    "finished": """
insert into conveyor.history
  (id, seq, queue, name, state, priority, attempts_made, stalled_count, created_at, run_at, finished_at, payload)
select 'f-' || n, n, 'drain', 'nothing', 'completed', 0, 1, 0, now(), now(), now(), '[1]'
from generate_series(1, $1::int) as n
""",
}


@asynccontextmanager
async def surroundings(url: str, kind: str, size: int) -> AsyncIterator[None]:
    """Empty the tables, and fill them; or hold a snapshot."""
    connection: Any = await asyncpg.connect(url, timeout=10, command_timeout=600)
    await connection.execute("truncate conveyor.live, conveyor.history")
    if kind in FILL:
        await connection.execute(FILL[kind], size)
        await connection.execute("vacuum analyze conveyor.live")
        await connection.execute("vacuum analyze conveyor.history")
    if kind == "pinned":
        await connection.execute("begin isolation level repeatable read")
        await connection.fetch("select 1 from conveyor.live limit 1")
    try:
        yield
    finally:
        await connection.close()


async def drain(url: str, jobs: int) -> float:
    """Add jobs, run them, and return how many a second ran."""
    app = Conveyor(url)
    async with app:
        queue = app.queue("drain")
        done = anyio.Event()
        missing = jobs

        @queue.job()
        async def nothing(_number: int) -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                done.set()

        for first in range(0, jobs, CHUNK):
            await nothing.add_many([nothing.new(number) for number in range(first, min(first + CHUNK, jobs))])
        started = time.perf_counter()
        async with app.worker(queue.name):
            await done.wait()
            return jobs / (time.perf_counter() - started)


async def main(url: str, kind: str, jobs: int, size: int) -> None:
    """Measure one way; on asyncio, as the surroundings are made there."""
    async with Conveyor(url):
        pass  # so that the tables are there
    async with surroundings(url, kind, size):
        print(f"{await drain(url, jobs):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("kind", choices=["clean", "pinned", *FILL])
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=1_000_000)
    given = parser.parse_args()
    anyio.run(main, given.url, given.kind, given.jobs, given.size)
    sys.exit(0)
