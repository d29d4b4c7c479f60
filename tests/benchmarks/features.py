"""What features cost beside the plain path: schedules while nothing is due and when all are, and batch handlers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import anyio

from conveyor import BatchOptions, Conveyor
from conveyor.model.options import JobOptions
from conveyor.model.schedules.parsing import parse_rule
from conveyor.model.schedules.values import ScheduleSpec
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["measure_batches", "measure_fires", "measure_idle_schedules"]

QUEUE: Final = "bench"
SCHEDULES: Final = 1000
SETTLING_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 5.0
JOBS: Final = 5000
SLOTS: Final = 50


async def measure_idle_schedules(url: str) -> Mapping[str, float]:
    """Leave a worker with a thousand schedules of which none is due; the share of a core that it takes, in per cent."""
    app = Conveyor(url)
    queue = app.queue(QUEUE)

    @queue.job()
    async def nothing() -> None: ...

    for number in range(SCHEDULES):
        queue.cron("0 0 1 1 *", "nothing", id=str(number))
    async with app, app.worker(QUEUE):
        await anyio.sleep(SETTLING_SECONDS)
        cpu = time.process_time()
        await anyio.sleep(IDLE_SECONDS)
        return {"idle_schedules_cpu_%": (time.process_time() - cpu) / IDLE_SECONDS * 100}


async def measure_fires(url: str) -> Mapping[str, float]:
    """Fire a thousand schedules that are due at once."""
    clock = ManualClock()
    rule = parse_rule({"cron": "* * * * *", "tz": "Europe/Berlin"})
    specs = [ScheduleSpec(str(n), QUEUE, "nothing", b"{}", JobOptions(), rule) for n in range(SCHEDULES)]
    async with open_store(url, clock=clock) as store:
        assert store.schedules is not None
        await store.schedules.upsert_schedules(specs)
        clock.advance(60)
        started = time.perf_counter()
        fired = 0
        while fired < SCHEDULES:
            fired += len((await store.schedules.fire_schedules()).ticks)
        return {"fires": SCHEDULES / (time.perf_counter() - started)}


async def measure_batches(url: str) -> Mapping[str, float]:
    """Run jobs that do nothing, each by itself, and as many in batches, with as many slots."""
    app = Conveyor(url)
    left = 0
    over = anyio.Event()

    def end(count: int) -> None:
        nonlocal left
        left -= count
        if not left:
            over.set()

    @app.queue("single").job()
    async def single(number: int) -> None:
        end(1)

    @app.queue("batched").job(batch=BatchOptions(size=SLOTS))
    async def batched(numbers: list[int]) -> list[None]:
        end(len(numbers))
        return [None] * len(numbers)

    async def measure(queue: str, add: Callable[[], Awaitable[object]]) -> float:
        nonlocal left, over
        left, over = JOBS, anyio.Event()
        await add()
        started = time.perf_counter()
        async with app.worker(queue, concurrency=SLOTS):
            await over.wait()
            return JOBS / (time.perf_counter() - started)

    async with app:
        return {
            "single": await measure("single", lambda: single.add_many([single.new(n) for n in range(JOBS)])),
            "batched": await measure("batched", lambda: batched.add_many([batched.new(n) for n in range(JOBS)])),
        }
