"""What an add costs whose key is new, or held, beside one without a key: in bulk, and by many callers at once."""

from __future__ import annotations

import statistics
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor import Conveyor, Deduplication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conveyor import Queue

__all__ = ["measure_deduplicated"]

JOBS: Final = 2000
ROUNDS: Final = 7
CALLERS: Final = 100
KINDS: Final = ("none", "new", "held")


async def measure_deduplicated(url: str) -> Mapping[str, float]:
    """Return microseconds per job; in bulk, what is made before the add is not counted."""
    app = Conveyor(url)
    queue = app.queue("bench")
    ways = {"dedup": partial(_add_in_bulk, queue), "dedup_single": partial(_add_one_by_one, queue)}
    samples: dict[str, list[float]] = {f"{way}_{kind}_us": [] for way in ways for kind in KINDS}
    async with app:
        for add in ways.values():
            await add(None)
        for number in range(ROUNDS):
            for way, add in ways.items():
                # New also where the store was measured before; the second with the same keys meets what the first took.
                keys = f"{way} {number} {uuid.uuid4()}"
                for kind, prefix in zip(KINDS, (None, keys, keys), strict=True):
                    samples[f"{way}_{kind}_us"].append(await add(prefix))
    return {name: statistics.median(series) for name, series in samples.items()}


async def _add_in_bulk(queue: Queue, prefix: str | None) -> float:
    jobs = [queue.new("any", {"number": number}, **_asked(prefix, number)) for number in range(JOBS)]
    return await _time(partial(queue.add_many, jobs))


async def _add_one_by_one(queue: Queue, prefix: str | None) -> float:
    """Add in so many tasks at once, each one job after another: as the requests of a web program do."""

    async def call(caller: int) -> None:
        for number in range(caller, JOBS, CALLERS):
            await queue.add("any", {"number": number}, **_asked(prefix, number))

    async def call_all() -> None:
        async with anyio.create_task_group() as tasks:
            for caller in range(CALLERS):
                tasks.start_soon(call, caller)

    return await _time(call_all)


def _asked(prefix: str | None, number: int) -> dict[str, Any]:
    return {} if prefix is None else {"deduplication": Deduplication(key=f"{prefix} {number}")}


async def _time(add: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await add()
    return (time.perf_counter() - begun) / JOBS * 1e6
