"""``python -m tests.benchmarks.cases CASE URL BACKEND``: one measurement in a process of its own, as JSON.

Each returns figures by name. Processor time and memory are those of this process, which does nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import sniffio
from anyio.streams.buffered import BufferedByteReceiveStream

from conveyor import Conveyor
from tests.benchmarks.backlog import measure_finished, measure_grouped, measure_waiting
from tests.benchmarks.buffered import measure_buffered
from tests.benchmarks.cancels import measure_cancels, measure_cancels_across
from tests.benchmarks.dead_letters import measure_dead_letters
from tests.benchmarks.deduplicated import measure_deduplicated
from tests.benchmarks.executors import measure_executors
from tests.benchmarks.failing import measure_failing
from tests.benchmarks.features import measure_batches, measure_fires, measure_idle_schedules
from tests.benchmarks.floor_pickup import bare_pickups
from tests.benchmarks.floors import bare_rows, open_bare
from tests.benchmarks.flows import measure_flow
from tests.benchmarks.limited import measure_limited
from tests.benchmarks.rows import measure_rows, measure_rows_memory
from tests.benchmarks.watched import measure_watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["CASES"]

SLEEPERS: Final = 2000
SLEEP_SECONDS: Final = 1.0
SLEEPERS_AT_ONCE: Final = 1000
IDLE_SECONDS: Final = 5.0
SETTLING_SECONDS: Final = 1.0
QUEUE: Final = "bench"
LONGEST_LINE: Final = 100
SAMPLES: Final = 100
WARM_UPS: Final = 5
# Long enough for a worker to have settled the last job and to be waiting for the next.
BETWEEN_SECONDS: Final = 0.02


async def sleepers(url: str) -> Mapping[str, float]:
    """Add jobs that sleep for a second to a worker that runs half of them at once: two seconds at best."""
    app = Conveyor(url)
    queue = app.queue(QUEUE)
    left = SLEEPERS
    all_ended = anyio.Event()

    @queue.job()
    async def nap() -> None:
        nonlocal left
        await anyio.sleep(SLEEP_SECONDS)
        left -= 1
        if not left:
            all_ended.set()

    async with app, app.worker(QUEUE, concurrency=SLEEPERS_AT_ONCE):
        await anyio.sleep(SETTLING_SECONDS)
        started = time.perf_counter()
        await nap.add_many([nap.new() for _ in range(SLEEPERS)])
        await all_ended.wait()
        seconds = time.perf_counter() - started
    return {"sleepers_s": seconds}


async def idle(url: str) -> Mapping[str, float]:
    """Leave a worker without jobs; the share of a core that it takes, in per cent."""
    app = Conveyor(url)

    @app.queue(QUEUE).job()
    async def nothing() -> None: ...

    async with app, app.worker(QUEUE):
        await anyio.sleep(SETTLING_SECONDS)
        cpu = time.process_time()
        await anyio.sleep(IDLE_SECONDS)
        return {"idle_cpu_%": (time.process_time() - cpu) / IDLE_SECONDS * 100}


async def pickup(url: str) -> Mapping[str, float]:
    """Add what an idle worker here runs, from the call of `add` to the start of the handler; in turn with the floor."""
    app = Conveyor(url)
    queue = app.queue(QUEUE)
    has_started = anyio.Event()

    @queue.job()
    async def start() -> None:
        has_started.set()

    async def one() -> float:
        nonlocal has_started
        has_started = anyio.Event()
        added_at = time.perf_counter()
        await start.add()
        await has_started.wait()
        return (time.perf_counter() - added_at) * 1000

    async with app, app.worker(QUEUE):
        return _named("pickup", await _in_turn(one))


async def pickup_across(url: str) -> Mapping[str, float]:
    """Add here what a worker in another process runs, from the call of `add` to the start of the handler there."""
    app = Conveyor(url)
    command = [sys.executable, "-m", "tests.benchmarks.starts", url, sniffio.current_async_library()]
    async with app, await anyio.open_process(command, stderr=None) as worker:
        assert worker.stdout is not None
        lines = BufferedByteReceiveStream(worker.stdout)
        await lines.receive_until(b"\n", LONGEST_LINE)

        async def one() -> float:
            added_at = time.monotonic()  # the clock that both processes share
            await app.queue(QUEUE).add("start")
            return (float(await lines.receive_until(b"\n", LONGEST_LINE)) - added_at) * 1000

        figures = _named("pickup_across", await _in_turn(one))
        worker.terminate()
    return figures


async def _in_turn(one: Callable[[], Awaitable[float]]) -> tuple[Sequence[float], Sequence[float]]:
    """Return samples of ours and of the floor, each after the same idle time."""
    ours: list[float] = []
    floor: list[float] = []
    with tempfile.TemporaryDirectory(prefix="conveyor-bench-") as folder:
        async with bare_pickups(open_bare(Path(folder)), bare_rows(SAMPLES + WARM_UPS)) as bare:
            for _ in range(SAMPLES + WARM_UPS):
                for samples, sample in ((ours, one), (floor, bare.sample)):
                    await anyio.sleep(BETWEEN_SECONDS)
                    samples.append(await sample())
    return ours[WARM_UPS:], floor[WARM_UPS:]


def _named(name: str, samples: tuple[Sequence[float], Sequence[float]]) -> Mapping[str, float]:
    ours, floor = (statistics.quantiles(series, n=100) for series in samples)
    return {
        f"{name}_p50_ms": ours[49],
        f"{name}_p99_ms": ours[98],
        f"floor {name}_p50_ms": floor[49],
        f"floor {name}_p99_ms": floor[98],
    }


CASES: Final[Mapping[str, Callable[[str], Awaitable[Mapping[str, float]]]]] = {
    "sleepers": sleepers,
    "idle": idle,
    "idle_schedules": measure_idle_schedules,
    "fires": measure_fires,
    "batches": measure_batches,
    "pickup": pickup,
    "pickup_across": pickup_across,
    "waiting": measure_waiting,
    "finished": measure_finished,
    "groups": measure_grouped,
    "flow": measure_flow,
    "deduplicated": measure_deduplicated,
    "buffered": measure_buffered,
    "dead_letters": measure_dead_letters,
    "limited": measure_limited,
    "watched": measure_watched,
    "rows": measure_rows,
    "rows_memory": measure_rows_memory,
    "executors": measure_executors,
    "failing": measure_failing,
    "cancels": measure_cancels,
    "cancels_across": measure_cancels_across,
}


def main() -> None:
    """Measure one case and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    arguments = parser.parse_args()
    figures = anyio.run(CASES[arguments.case], arguments.url, backend=arguments.backend)
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
