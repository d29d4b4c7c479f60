"""``python -m benchmarks.ours URL BACKEND``: jobs that conveyor adds and runs in a second, and its processor time."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio
from conveyor_plugin_nats.queue import NatsJobQueue

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLERS: Final = 50
BULK: Final = 1000
SLOTS: Final = 50


async def measure(url: str, jobs: int) -> Mapping[str, float]:
    """Add jobs in bulk and by many callers, half of them each, and run them all; in a stream that is removed again."""
    stream = f"bench-{uuid4().hex[:8]}"
    strategy = NatsJobQueue(f"{url}?stream={stream}")
    app = Conveyor("memory://", job_queue=strategy)
    left = jobs
    are_over = anyio.Event()

    @app.queue("bench").job()
    async def nothing(number: int) -> None:
        nonlocal left
        del number
        left -= 1
        if not left:
            are_over.set()

    half = jobs // 2
    async with app:
        cpu, begun = time.process_time(), time.perf_counter()
        for start in range(0, half, BULK):
            await nothing.add_many([nothing.new(number) for number in range(start, min(start + BULK, half))])
        in_bulk = time.perf_counter() - begun
        begun = time.perf_counter()
        await _add_by_callers(nothing, jobs - half)
        by_callers = time.perf_counter() - begun
        begun = time.perf_counter()
        async with app.worker(concurrency=SLOTS):
            await are_over.wait()
        running = time.perf_counter() - begun
        cpu = time.process_time() - cpu
        jetstream = strategy._desk.connection.jetstream  # noqa: SLF001 - of this plugin
        await strategy._bridge.call(lambda: jetstream.delete_stream(stream))  # noqa: SLF001 - of this plugin
    return {
        "add_many": half / in_bulk,
        "add_concurrent": (jobs - half) / by_callers,
        "run": jobs / running,
        "cpu_us": cpu / jobs * 1e6,
    }


async def _add_by_callers(handler: Any, jobs: int) -> None:
    async def call(first: int) -> None:
        for number in range(first, jobs, CALLERS):
            await handler.add(number)

    async with anyio.create_task_group() as tasks:
        for first in range(CALLERS):
            tasks.start_soon(call, first)


def main() -> None:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    parser.add_argument("--jobs", type=int, default=5000)
    arguments = parser.parse_args()
    print(json.dumps(anyio.run(measure, arguments.url, arguments.jobs, backend=arguments.backend)))


if __name__ == "__main__":
    main()
