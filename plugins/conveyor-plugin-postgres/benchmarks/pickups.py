"""``python -m benchmarks.pickups URL BACKEND CASE``: how long from the call of add to the start of the handler.

The worker is idle, in this process ("here") or in another ("across"). Each sample follows one of the floor: an add and
a fetch, of which nobody is told; two commits that wait for the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import asyncpg
import sniffio

from benchmarks import floors
from benchmarks.children import hear, say, started
from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

__all__ = ["CASES", "SHARES"]

MODULE: Final = "benchmarks.pickups"
QUEUE: Final = "pickups"
SAMPLES: Final = 100
# Until then connections are made, and the first plans on them.
WARM_UPS: Final = 20
# Long enough for whatever follows a run to be over.
IDLE_SECONDS: Final = 0.03
SHARES: Final = (50, 99)


@asynccontextmanager
async def _here(url: str) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    app = Conveyor(url)
    started_at: list[float] = []
    is_started = anyio.Event()

    @app.queue(QUEUE).job()
    async def start() -> None:
        started_at.append(time.monotonic())
        is_started.set()

    async def one() -> float:
        nonlocal is_started
        is_started = anyio.Event()
        added_at = time.monotonic()
        await start.add()
        await is_started.wait()
        return (started_at.pop() - added_at) * 1000

    async with app, app.worker(QUEUE):
        yield one


@asynccontextmanager
async def _across(url: str) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    app = Conveyor(url)
    with started(MODULE, url, sniffio.current_async_library(), "worker") as worker:

        async def one() -> float:
            added_at = time.monotonic()  # the clock that both processes share
            await app.queue(QUEUE).add("start")
            return (float(await anyio.to_thread.run_sync(worker.hear)) - added_at) * 1000

        async with app:
            yield one


CASES: Final = {"here": _here, "across": _across}


async def measure(url: str, case: str) -> None:
    """Print the shares of ours and of the floor, in milliseconds."""
    ours: list[float] = []
    floor: list[float] = []
    with started(MODULE, url, "asyncio", "bare") as bare:
        async with CASES[case](url) as one:
            for _ in range(WARM_UPS + SAMPLES):
                await anyio.sleep(IDLE_SECONDS)
                bare.say("go")
                floor.append(float(await anyio.to_thread.run_sync(bare.hear)))
                await anyio.sleep(IDLE_SECONDS)
                ours.append(await one())
    print(json.dumps({"ours": _shares(ours), "floor": _shares(floor)}))


def _shares(samples: list[float]) -> Mapping[str, float]:
    points = statistics.quantiles(samples[WARM_UPS:], n=100)
    return {f"p{share}": round(points[share - 1], 3) for share in SHARES}


async def work(url: str) -> None:
    """Run jobs until ended, and say when each starts."""
    app = Conveyor(url)

    @app.queue(QUEUE).job()
    async def start() -> None:
        say(time.monotonic())

    async with app, app.worker(QUEUE):
        say("ready")
        await anyio.sleep_forever()


async def pick_up_bare(url: str) -> None:
    """Say how long a sample of the floor took, whenever asked."""
    adding: Any = await asyncpg.connect(url)
    fetching: Any = await asyncpg.connect(url)
    try:
        add, fetch = floors.Bare(adding), floors.Bare(fetching)
        await add.make()
        say("ready")
        number = 0
        while hear():
            number += 1
            began = time.monotonic()
            await add.fill(1)
            await fetch.fetch(add.session, number)
            say((time.monotonic() - began) * 1000)
    finally:
        await adding.close()
        await fetching.close()


def main() -> None:
    """Measure, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    parser.add_argument("case", choices=[*CASES, "worker", "bare"])
    given = parser.parse_args()
    if given.case == "bare":
        asyncio.run(pick_up_bare(given.url))
    elif given.case == "worker":
        anyio.run(work, given.url, backend=given.backend)
    else:
        anyio.run(measure, given.url, given.case, backend=given.backend)


if __name__ == "__main__":
    main()
