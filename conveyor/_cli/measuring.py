"""The phases of ``conveyor bench``: add one by one, add at once, add many, run all, pick up when idle."""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor._cli.opening import services_of
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor._app import Conveyor
    from conveyor._handles.handler import JobHandler
    from conveyor._handles.queue import Queue
    from conveyor.model.worker_options import WorkerKeywords

__all__ = ["Bench", "percentile"]

_CALLERS: Final = 100
_CHUNK: Final = 1000
_SAMPLES: Final = 50
_WARM_UPS: Final = 3
# Long enough for the worker to have settled the last job and to be waiting for the next.
_IDLE_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 60.0


class _Runs:
    """What the handler saw: how often each job ran, and when each pickup sample started."""

    def __init__(self, count: int) -> None:
        self.times = bytearray(count)
        self.missing = count
        self.started_at = 0.0
        self.last_at = time.monotonic()
        self.awaited = 0
        self.reached = anyio.Event()

    def note(self, number: int) -> None:
        """Note that a job runs."""
        self.started_at = time.perf_counter()
        self.last_at = time.monotonic()
        if not self.times[number]:
            self.missing -= 1
        self.times[number] = min(255, self.times[number] + 1)
        if self.missing <= self.awaited:
            self.reached.set()

    def expect(self, missing: int) -> None:
        """Make `wait` wait until no more than so many have not run."""
        self.awaited, self.reached = missing, anyio.Event()

    async def wait(self) -> bool:
        """Wait for what is expected; False: nothing has happened for a minute."""
        self.last_at = time.monotonic()
        while not self.reached.is_set():
            left = self.last_at + _PATIENCE_SECONDS - time.monotonic()
            if left <= 0:
                return False
            with anyio.move_on_after(left):
                await self.reached.wait()
        return True


class Bench:
    """One measurement of one store; `complaints` says what was wrong with it."""

    def __init__(self, app: Conveyor, jobs: int, keywords: WorkerKeywords, say: Callable[[str], None]) -> None:
        """Plan it; nothing is opened yet."""
        self.complaints: list[str] = []
        self._app = app
        self._jobs = jobs
        self._keywords = keywords
        self._say = say
        self._total = jobs + _SAMPLES + _WARM_UPS

    async def run(self, backend: str) -> dict[str, Any]:
        """Measure, check and clean up; return the result as it is printed."""
        cpu = time.process_time()
        async with self._app as app:
            queue = app.queue(f"conveyor-bench-{secrets.token_hex(4)}")
            self._runs = _Runs(self._total)
            handler = _register(queue, self._runs)
            try:
                measured = await self._measure(queue, handler)
                await self._check(queue)
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_PATIENCE_SECONDS):
                    await queue.obliterate(force=True)
            return {
                "store": services_of(app).store.name,
                "backend": backend,
                "jobs": self._jobs,
                **measured,
                "rss_mb": _peak_rss_mb(),
                "cpu_seconds": round(time.process_time() - cpu, 3),
            }

    async def _measure(self, queue: Queue, handler: JobHandler[Any, Any, [int], None]) -> dict[str, Any]:
        singles = range(self._jobs // 10)
        at_once = range(singles.stop, singles.stop + self._jobs // 5)
        rest = range(at_once.stop, self._jobs)
        add = await self._rate(f"adding {len(singles)} one by one", len(singles), lambda: _add_each(handler, singles))
        concurrent = await self._rate(
            f"adding {len(at_once)} by {_CALLERS} callers", len(at_once), lambda: _add_at_once(handler, at_once)
        )
        many = await self._rate(f"adding {len(rest)} in chunks", len(rest), lambda: _add_in_chunks(handler, rest))
        cpu = time.process_time()
        process = await self._rate(f"running {self._jobs}", self._jobs, lambda: self._process(queue))
        cpu_us = (time.process_time() - cpu) / self._jobs * 1e6
        self._say(f"picking up {_SAMPLES} one by one …")
        pickups = await self._pick_up(queue, handler)
        return {
            "add_per_second": add,
            "add_concurrent_per_second": concurrent,
            "add_many_per_second": many,
            "process_per_second": process,
            "cpu_us_per_job": round(cpu_us, 1),
            "pickup_ms": {f"p{share}": percentile(pickups, share) for share in (50, 95, 99)},
        }

    async def _rate(self, what: str, count: int, phase: Callable[[], Any]) -> float:
        self._say(f"{what} …")
        start = time.perf_counter()
        await phase()
        return round(count / (time.perf_counter() - start), 1)

    async def _process(self, queue: Queue) -> None:
        self._runs.expect(self._total - self._jobs)
        # Leaving the worker in peace means that every outcome is written.
        async with self._app.worker(queue.name, **self._keywords):
            if not await self._runs.wait():
                self.complaints.append(f"nothing ran for {_PATIENCE_SECONDS:g} s")

    async def _pick_up(self, queue: Queue, handler: JobHandler[Any, Any, [int], None]) -> Sequence[float]:
        samples: list[float] = []
        async with self._app.worker(queue.name, **self._keywords):
            for number in range(self._jobs, self._total):
                if self.complaints:
                    break
                await anyio.sleep(_IDLE_SECONDS)
                self._runs.expect(self._total - number - 1)
                start = time.perf_counter()
                job = await handler.add(number)
                if not await self._runs.wait():
                    self.complaints.append(f"an idle worker did not start a job for {_PATIENCE_SECONDS:g} s")
                    break
                samples.append((self._runs.started_at - start) * 1000)
                await job.wait_until_finished(_PATIENCE_SECONDS)
        return samples[_WARM_UPS:]

    async def _check(self, queue: Queue) -> None:
        missing, repeated = self._runs.times.count(0), sum(times > 1 for times in self._runs.times)
        if missing:
            self.complaints.append(f"{missing} of {self._total} jobs never ran")
        if repeated:
            self.complaints.append(f"{repeated} of {self._total} jobs ran more than once")
        counts = await queue.counts()
        wrong = {state.value: count for state, count in counts.items() if count and state is not JobState.COMPLETED}
        if counts[JobState.COMPLETED] != self._total or wrong:
            self.complaints.append(f"the store counts {counts[JobState.COMPLETED]} of {self._total} completed, {wrong}")


def percentile(samples: Sequence[float], share: int) -> float | None:
    """Return the smallest sample that `share` percent do not exceed, in three digits; None without samples.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50)
    2.0
    """
    if not samples:
        return None
    ordered = sorted(samples)
    return round(ordered[max(0, -(-len(ordered) * share // 100) - 1)], 3)


def _register(queue: Queue, runs: _Runs) -> JobHandler[Any, Any, [int], None]:
    @queue.job()
    async def nothing(number: int) -> None:
        runs.note(number)

    return nothing


async def _add_each(handler: JobHandler[Any, Any, [int], None], numbers: range) -> None:
    for number in numbers:
        await handler.add(number)


async def _add_at_once(handler: JobHandler[Any, Any, [int], None], numbers: range) -> None:
    async with anyio.create_task_group() as callers:
        for first in range(min(_CALLERS, len(numbers))):
            callers.start_soon(_add_each, handler, numbers[first::_CALLERS])


async def _add_in_chunks(handler: JobHandler[Any, Any, [int], None], numbers: range) -> None:
    for start in range(0, len(numbers), _CHUNK):
        await handler.add_many([handler.new(number) for number in numbers[start : start + _CHUNK]])


def _peak_rss_mb() -> float | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
