"""What a job costs whose handler does nothing: on the loop, in a thread and in a process."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from conveyor import JobHandler
    from conveyor.contracts.middleware import Middleware
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["measure_executors"]

SAMPLES: Final = 100
ROUNDS: Final = 3
JOBS: Final = 2000
SLOTS: Final = 2


class Counting:
    """A middleware that knows when a number of runs is over: a handler's own process could not tell."""

    def __init__(self) -> None:
        self._left = 0
        self._over = anyio.Event()

    def expect(self, runs: int) -> anyio.Event:
        """Return what is set after so many runs."""
        self._left, self._over = runs, anyio.Event()
        return self._over

    async def around_add(
        self, jobs: Sequence[NewJob], call_next: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]], /
    ) -> Sequence[AddReceipt]:
        """Add them."""
        return await call_next(jobs)

    async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
        """Run it, and count it."""
        del job
        result = await call_next()
        self._left -= 1
        if not self._left:
            self._over.set()
        return result


counting = Counting()
layers: Final[tuple[Middleware, ...]] = (counting,)
# Its store is what CONVEYOR_STORE says when it is opened: handlers' processes import it, and open none.
app = Conveyor(middleware=layers)
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


HANDLERS: Final[Mapping[str, JobHandler[[], Any, [], None]]] = {
    "loop": on_loop,
    "thread": in_thread,
    "process": in_process,
}


async def measure_executors(url: str) -> Mapping[str, float]:
    """Add one job and wait for its result, then many at once, in turn with each kind of handler."""
    os.environ["CONVEYOR_STORE"] = url
    spans: defaultdict[str, list[float]] = defaultdict(list)
    rates: defaultdict[str, list[float]] = defaultdict(list)
    async with app, app.worker(concurrency=SLOTS):
        firsts = {kind: await _one(handler) for kind, handler in HANDLERS.items()}
        for handler in HANDLERS.values():
            await _rate(handler)  # starts all the processes and threads
        for _ in range(SAMPLES):
            for kind, handler in HANDLERS.items():
                spans[kind].append(await _one(handler))
        for _ in range(ROUNDS):
            for kind, handler in HANDLERS.items():
                rates[kind].append(await _rate(handler))
    return {
        **{f"executor_{kind}": statistics.median(series) for kind, series in rates.items()},
        **{f"executor_{kind}_ms": statistics.median(series) for kind, series in spans.items()},
        "executor_first_process_ms": firsts["process"],
    }


async def _one(handler: JobHandler[[], Any, [], None]) -> float:
    """Return milliseconds from the add to the result."""
    started = time.perf_counter()
    await (await handler.add()).result(timeout="30s")
    return (time.perf_counter() - started) * 1000


async def _rate(handler: JobHandler[[], Any, [], None]) -> float:
    """Return how many are run in a second."""
    over = counting.expect(JOBS)
    started = time.perf_counter()
    await handler.add_many([handler.new() for _ in range(JOBS)])
    await over.wait()
    return JOBS / (time.perf_counter() - started)
