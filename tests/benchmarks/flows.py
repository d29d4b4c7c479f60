"""What a job of a flow costs beside one without: the same jobs, in turn, as children of one parent and as they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import anyio

from conveyor import Conveyor, Flow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["measure_flow"]

JOBS: Final = 5_000
ROUNDS: Final = 3
AT_ONCE: Final = 100


async def measure_flow(url: str) -> Mapping[str, float]:
    """Add jobs in one call and run them all; the times of the processor's work that those of a flow take."""
    app = Conveyor(url)
    queue = app.queue("bench")
    left = 0
    all_ended = anyio.Event()

    @queue.job()
    async def nothing() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_ended.set()

    async def add_plain() -> None:
        await nothing.add_many([nothing.new() for _ in range(JOBS + 1)])

    async def add_flow() -> None:
        await app.flows.add(Flow(nothing.new(), [nothing.new() for _ in range(JOBS)]))

    async def work(add: Callable[[], Awaitable[None]]) -> float:
        nonlocal left, all_ended
        left, all_ended = JOBS + 1, anyio.Event()
        began_at = time.process_time()
        await add()
        async with app.worker("bench", concurrency=AT_ONCE):
            await all_ended.wait()
        return time.process_time() - began_at

    async with app:
        await work(add_plain)
        rounds = [(await work(add_plain), await work(add_flow)) for _ in range(ROUNDS)]
    plain, flow = (min(seconds) for seconds in zip(*rounds, strict=True))
    return {"flow_cpu_us": flow / JOBS * 1e6, "flow_times_plain": flow / plain}
