"""What an add costs whose key is new, and one whose key is held, beside one without a key."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from conveyor import Conveyor, Deduplication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from conveyor import NewJob, Queue

__all__ = ["measure_deduplicated"]

JOBS: Final = 2000
ROUNDS: Final = 7


async def measure_deduplicated(url: str) -> Mapping[str, float]:
    """Return microseconds per job that is added in bulk; what is made before the add is not counted."""
    app = Conveyor(url)
    queue = app.queue("bench")
    samples: dict[str, list[float]] = {"dedup_none_us": [], "dedup_new_us": [], "dedup_held_us": []}
    async with app:
        await _time(queue.add_many, _jobs(queue, "warm-up"))
        for number in range(ROUNDS):
            # The second with the same keys meets what the first took.
            for name, prefix in zip(samples, (None, f"round {number}", f"round {number}"), strict=True):
                samples[name].append(await _time(queue.add_many, _jobs(queue, prefix)))
    return {name: statistics.median(series) for name, series in samples.items()}


def _jobs(queue: Queue, prefix: str | None) -> list[NewJob]:
    keys = [None if prefix is None else Deduplication(key=f"{prefix} {number}") for number in range(JOBS)]
    return [queue.new("any", {"number": number}, deduplication=key) for number, key in enumerate(keys)]


async def _time(add: Callable[[Sequence[NewJob]], Awaitable[object]], jobs: Sequence[NewJob]) -> float:
    begun = time.perf_counter()
    await add(jobs)
    return (time.perf_counter() - begun) / len(jobs) * 1e6
