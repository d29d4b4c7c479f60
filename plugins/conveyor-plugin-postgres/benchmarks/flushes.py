"""``python -m benchmarks.flushes URL BACKEND``: the seconds of flushing a hundred thousand jobs into a thousand.

The floor is bare asyncpg with the store's own statements, one transaction for each chunk, and the least that unites
what is in them. Buffers of the store are filled for both, and emptied.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import asyncpg
from conveyor_plugin_postgres.adding import add_columns
from conveyor_plugin_postgres.statements import Statements

from conveyor import Conveyor, JobBuffer, NewJob, union
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conveyor import Queue
    from conveyor.model.buffers.values import BufferedJob

__all__ = ["NAMES"]

JOBS: Final = 100_000
INTO: Final = 1000
AT_ONCE: Final = 5000
CHUNK: Final = 10_000
NAMES: Final = ("ours", "floor")


async def _measure(url: str) -> Mapping[str, float]:
    app = Conveyor(url)
    queue = app.queue("flushes")
    for name in NAMES:
        app.buffers.add_buffer(JobBuffer(name, collect=_is_named(name), reduce=union("numbers")))
    async with app:
        for name in NAMES:
            for start in range(0, JOBS, AT_ONCE):
                await queue.add_many([_job(queue, name, start + number) for number in range(AT_ONCE)])
        begun = time.perf_counter()
        flushed = await app.buffers.flush(["ours"])
        seconds = time.perf_counter() - begun
    if len(flushed["ours"]) != INTO:
        raise RuntimeError(f"{JOBS} jobs went into {len(flushed['ours'])}, not into {INTO}")
    # asyncpg knows asyncio alone.
    return {"ours": seconds, "floor": await anyio.to_thread.run_sync(asyncio.run, _floor(url))}


def _is_named(name: str) -> Callable[[BufferedJob], bool]:
    def collect(job: BufferedJob) -> bool:
        return job.name == name

    return collect


def _job(queue: Queue, name: str, number: int) -> NewJob:
    return queue.new(name, {"numbers": [number], "shop": number * INTO // JOBS})


async def _floor(url: str) -> float:
    connection: Any = await asyncpg.connect(url)
    try:
        begun = time.perf_counter()
        for _ in range(0, JOBS, CHUNK):
            async with connection.transaction():
                await _flush_chunk(connection, Statements())
        return time.perf_counter() - begun
    finally:
        await connection.close()


async def _flush_chunk(connection: Any, statements: Statements) -> None:
    united: dict[int, tuple[str, list[int]]] = {}
    merged: dict[str, str] = {}
    for job_id, _, _, payload, *_ in await connection.fetch(statements["buffers/take_jobs"], "floor", CHUNK):
        data = json.loads(payload)
        first, numbers = united.setdefault(data["shop"], (job_id, []))
        numbers.extend(data["numbers"])
        merged[job_id] = first
    jobs = [
        NewJob(first, "flushes", "floor", json.dumps({"numbers": numbers, "shop": shop}).encode(), JobOptions())
        for shop, (first, numbers) in united.items()
    ]
    await connection.fetchrow(statements["jobs/save_jobs"], *add_columns(jobs), None, False)
    await connection.execute(statements["buffers/commit_remove"], [*merged], [*merged.values()], None)


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    arguments = parser.parse_args()
    print(json.dumps(anyio.run(_measure, arguments.url, backend=arguments.backend)))


if __name__ == "__main__":
    main()
