"""``python -m tests.benchmarks.executors URL BACKEND``: what a job costs that does nothing.

On the loop, in a thread and in a process; they run one after another, in turn; the figures are JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor import JobHandler

__all__ = ["measure_executors"]

ROUNDS: Final = 100

# Its store is what CONVEYOR_STORE says when it is opened: handlers' processes import it, and open none.
app = Conveyor()
bench = app.queue("bench")


@bench.job()
async def on_loop() -> None:
    """Run on the event loop."""


@bench.job(executor="thread")
def in_thread() -> None:
    """Run in a thread."""


@bench.job(executor="process")
def in_process() -> None:
    """Run in a process."""


async def measure_executors(url: str) -> Mapping[str, float]:
    """Add one job and wait for its result, in turn with each kind of handler: medians, and the first in a process."""
    os.environ["CONVEYOR_STORE"] = url
    handlers = (on_loop, in_thread, in_process)
    async with app, app.worker(concurrency=1):
        first = [await _one(handler) for handler in handlers]
        rounds = [[await _one(handler) for handler in handlers] for _ in range(ROUNDS)]
    medians = [statistics.median(series) for series in zip(*rounds, strict=True)]
    names = [f"{handler.name}_ms" for handler in handlers]
    return {**dict(zip(names, medians, strict=True)), "first_in_process_ms": first[-1]}


async def _one(handler: JobHandler[[], Any, [], None]) -> float:
    started = time.perf_counter()
    await (await handler.add()).result(timeout="30s")
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    arguments = parser.parse_args()
    figures = anyio.run(measure_executors, arguments.url, backend=arguments.backend)
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
