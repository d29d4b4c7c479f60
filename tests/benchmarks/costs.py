"""``python -m tests.benchmarks.costs URL BACKEND``: what each feature of a job costs, beside a plain job.

In microseconds of the processor per job: of this process, and of a database's server where its process is named.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
import uuid
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor import BatchOptions, Conveyor, Deduplication, Flow, JobBuffer, RateLimit, union

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence


__all__ = ["measure_costs"]

JOBS: Final = 2000
CALLERS: Final = 50
SINGLES: Final = 200
SLOTS: Final = 50
GROUPS: Final = 20
# Far from both: what is measured is the counting.
WIDE: Final = RateLimit(10**6, "1s")
BUFFERED: Final = "buffered"


class Meter:
    """The processor time of this process and, where one is named, of a server with all of its processes."""

    def __init__(self, server: int | None) -> None:
        """Read a server's first process by its id."""
        self._server = server

    async def measure(self, call: Callable[[], Awaitable[object]], jobs: int) -> float:
        """Return microseconds per job that a call takes.

        Garbage is collected before, not meanwhile: a store in this process is looked through from end to end then, and
        whom that befalls is chance.
        """
        gc.collect()
        gc.disable()
        try:
            begun = self._read()
            await call()
            return (self._read() - begun) / jobs * 1e6
        finally:
            gc.enable()

    def _read(self) -> float:
        own = time.process_time()
        return own if self._server is None else own + _server_seconds(self._server)


def _server_seconds(server: int) -> float:
    """Return what a process has used, and its children that run; of those that ended, in steps of a hundredth."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if server in {int(folder.name), int(fields[1])}:
                # In nanoseconds of the first thread, and a server's processes have no more: the ticks of `stat` are
                # longer than what is measured.
                total += int((folder / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # it ended just now
            continue
        if int(folder.name) == server:
            total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return total


async def measure_costs(url: str, meter: Meter, rounds: int) -> Mapping[str, float]:
    """Return microseconds per job, by what is measured and the kind of job."""
    samples: defaultdict[str, list[float]] = defaultdict(list)
    app = Conveyor(url)
    adding, running = _Adding(app, meter), _Running(app, meter)
    async with app:
        await running.prepare()
        for _ in range(rounds):
            for name, figure in {**await adding.measure(), **await running.measure()}.items():
                samples[name].append(figure)
    return {name: statistics.median(series) for name, series in samples.items()}


class _Adding:
    """Adding jobs that nobody runs."""

    def __init__(self, app: Conveyor, meter: Meter) -> None:
        self._app = app
        self._meter = meter
        self._queue = app.queue("added")
        self._buffer = JobBuffer("costs", collect=lambda job: job.name == BUFFERED, reduce=union("numbers"))

    async def measure(self) -> Mapping[str, float]:
        """Add jobs of each kind in each way."""
        ways = {"bulk": self._in_bulk, "callers": self._by_callers, "single": self._singly}
        found: dict[str, float] = {}
        for way, add in ways.items():
            prefix = str(uuid.uuid4())
            for kind, options in KINDS.items():
                found[f"{way} {kind}"] = await add("plain", prefix, options)
        self._app.buffers.add_buffer(self._buffer)
        for way, add in ways.items():
            found[f"{way} offered"] = await add("plain", "", _plain)
            found[f"{way} buffered"] = await add(BUFFERED, "", _plain)
        await self._app.buffers.flush()
        self._app.buffers.remove_buffer(self._buffer)
        return found

    async def _in_bulk(self, name: str, prefix: str, options: Any) -> float:
        jobs = [self._queue.new(name, _data(prefix, n), **options(prefix, n)) for n in range(JOBS)]
        return await self._meter.measure(partial(self._queue.add_many, jobs), JOBS)

    async def _by_callers(self, name: str, prefix: str, options: Any) -> float:
        async def call_all() -> None:
            async with anyio.create_task_group() as tasks:
                for caller in range(CALLERS):
                    tasks.start_soon(self._call, name, prefix, options, range(caller, JOBS, CALLERS))

        return await self._meter.measure(call_all, JOBS)

    async def _singly(self, name: str, prefix: str, options: Any) -> float:
        return await self._meter.measure(partial(self._call, name, prefix, options, range(SINGLES)), SINGLES)

    async def _call(self, name: str, prefix: str, options: Any, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self._queue.add(name, _data(prefix, number), **options(prefix, number))


def _data(prefix: str, number: int) -> Mapping[str, object]:
    return {"numbers": [number], "round": prefix}


def _plain(prefix: str, number: int) -> Mapping[str, Any]:
    del prefix, number
    return {}


def _keyed(prefix: str, number: int) -> Mapping[str, Any]:
    return {"deduplication": Deduplication(key=f"{prefix} {number}")}


def _hashed(prefix: str, number: int) -> Mapping[str, Any]:
    del prefix, number
    return {"deduplication": Deduplication(hash=True)}


def _grouped(prefix: str, number: int) -> Mapping[str, Any]:
    del prefix
    return {"group": f"group-{number % GROUPS}"}


def _of_own_group(prefix: str, number: int) -> Mapping[str, Any]:
    del prefix
    return {"group": f"group-{number}"}


# The second of each pair meets what the first took.
KINDS: Final[Mapping[str, Any]] = {
    "plain": _plain,
    "key": _keyed,
    "key held": _keyed,
    "hash": _hashed,
    "hash held": _hashed,
    "group": _grouped,
}


class _Running:
    """Adding jobs in bulk and running them all."""

    def __init__(self, app: Conveyor, meter: Meter) -> None:
        self._app = app
        self._meter = meter
        self._left = 0
        self._over = anyio.Event()
        self._plain, self._grouped = self._handler("run_plain"), self._handler("run_grouped")
        self._limited = self._handler("run_limited")

        @app.queue("run_batched").job("nothing", batch=BatchOptions(size=SLOTS))
        async def batched(numbers: list[int]) -> list[None]:
            self._end(len(numbers))
            return [None] * len(numbers)

        self._batched: Any = batched

    async def prepare(self) -> None:
        """Limit the queue that has limits, and make what is made once."""
        await self._app.queue("run_limited").set_limits(max_global_concurrency=JOBS, limiter=WIDE)
        await self.measure()

    async def measure(self) -> Mapping[str, float]:
        """Run jobs of each kind."""
        prefix = str(uuid.uuid4())
        return {
            "run plain": await self._measured(self._plain, _plain),
            "run key": await self._measured(self._plain, _keyed, prefix),
            "run hash": await self._measured(self._plain, _hashed),
            "run group": await self._measured(self._grouped, _grouped),
            "run groups": await self._measured(self._grouped, _of_own_group),
            "run limits": await self._measured(self._limited, _plain),
            "run flow": await self._measured(self._plain, _plain, is_flow=True),
            "run batch": await self._measured(self._batched, _plain),
        }

    def _handler(self, queue_name: str) -> Any:
        @self._app.queue(queue_name).job("nothing")
        async def nothing(number: int) -> None:
            del number
            self._end(1)

        return nothing

    def _end(self, count: int) -> None:
        self._left -= count
        if not self._left:
            self._over.set()

    async def _measured(self, handler: Any, options: Any, prefix: str = "", *, is_flow: bool = False) -> float:
        jobs = [handler.options(**options(prefix, number)).new(number) for number in range(JOBS)]
        self._left, self._over = JOBS, anyio.Event()
        flow = Flow(jobs[0], jobs[1:]) if is_flow else None

        async def add_and_run() -> None:
            await (handler.add_many(jobs) if flow is None else self._app.flows.add(flow))
            async with self._app.worker(jobs[0].queue_name, concurrency=SLOTS):
                await self._over.wait()

        return await self._meter.measure(add_and_run, JOBS)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    parser.add_argument("--server", type=int, help="the first process of the database's server")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    figures = anyio.run(
        measure_costs, arguments.url, Meter(arguments.server), arguments.rounds, backend=arguments.backend
    )
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
