"""``python -m benchmarks.pairs URL KIND``: how many jobs a second two processes run together, from one queue.

The kind is a backend, for two workers, or a floor, for two bare loops.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import asyncpg

from benchmarks import floors
from benchmarks.children import hear, say, started
from benchmarks.drains import surroundings
from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "measure"]

KINDS: Final = ("asyncio", "trio", *floors.DRAINS)
QUEUE: Final = "pairs"
CHUNK: Final = 2000
PROCESSES: Final = 2
MODULE: Final = "benchmarks.pairs"
# Nothing to run for so long: the queue is empty.
IDLE_SECONDS: Final = 0.5


def measure(url: str, kind: str, jobs: int) -> float:
    """Return jobs per second, from the word to go to the end of the last job."""
    asyncio.run(_fill_bare(url, jobs) if kind in floors.DRAINS else _fill(url, jobs))
    with ExitStack() as stack:
        children = [stack.enter_context(started(MODULE, url, kind, "--child")) for _ in range(PROCESSES)]
        began = time.monotonic()  # all processes have the same
        for child in children:
            child.say("go")
        reports: list[Mapping[str, float]] = [json.loads(child.hear()) for child in children]
    done = sum(report["done"] for report in reports)
    if done != jobs or not all(report["done"] for report in reports):
        raise RuntimeError(f"{jobs} jobs, of which {[report['done'] for report in reports]} ran")
    return jobs / (max(report["ended"] for report in reports) - began)


async def _fill(url: str, jobs: int) -> None:
    async with Conveyor(url) as app, surroundings(url, "clean", 0):
        handler = _Counted(app).handler
        for first in range(0, jobs, CHUNK):
            await handler.add_many([handler.new(number) for number in range(first, min(first + CHUNK, jobs))])


async def _fill_bare(url: str, jobs: int) -> None:
    connection: Any = await asyncpg.connect(url)
    try:
        bare = floors.Bare(connection)
        await bare.make()
        await bare.fill(jobs)
    finally:
        await connection.close()


class _Counted:
    """A handler that does nothing but count, and when it last did."""

    def __init__(self, app: Conveyor) -> None:
        self.done = 0
        self.ended = 0.0
        self.queue = app.queue(QUEUE)

        @self.queue.job()
        async def nothing(_number: int) -> None:
            self.done += 1
            self.ended = time.monotonic()

        self.handler = nothing

    @property
    def is_idle(self) -> bool:
        """Whether it ran some, and then none for a while."""
        return self.done > 0 and time.monotonic() - self.ended > IDLE_SECONDS

    @property
    def report(self) -> str:
        """What the parent is told."""
        return json.dumps({"done": self.done, "ended": self.ended})


async def _work(url: str) -> None:
    """Run a worker until the queue is empty. What is left to be settled then is a part of the last round trip."""
    async with Conveyor(url) as app:
        counted = _Counted(app)
        say("ready")
        await anyio.to_thread.run_sync(hear)
        async with app.worker(QUEUE):
            while not counted.is_idle:  # noqa: ASYNC110 - the other process may have run the last job
                await anyio.sleep(IDLE_SECONDS / 3)
        say(counted.report)
        await anyio.to_thread.run_sync(hear)


async def _loop(url: str, kind: str) -> None:
    """Run the bare loop until the queue is empty."""
    connection: Any = await asyncpg.connect(url)
    try:
        bare = floors.Bare(connection)
        await bare.open_session()
        say("ready")
        hear()
        done = await floors.DRAINS[kind](bare)
        say(json.dumps({"done": done, "ended": time.monotonic()}))
        hear()
    finally:
        await connection.close()


def main() -> None:
    """Measure, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--child", action="store_true")
    given = parser.parse_args()
    if not given.child:
        print(f"{measure(given.url, given.kind, given.jobs):.1f}")
    elif given.kind in floors.DRAINS:
        asyncio.run(_loop(given.url, given.kind))
    else:
        anyio.run(_work, given.url, backend=given.kind)


if __name__ == "__main__":
    main()
