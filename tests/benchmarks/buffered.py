"""What it costs to put a job into a buffer, beside a plain add; and to flush many jobs into few."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from conveyor import Conveyor, JobBuffer, union
from tests.benchmarks.floor_flush import sqlite_flush

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor import NewJob, Queue

__all__ = ["measure_buffered"]

HOWS: Final = ("many", "single", "concurrent")
NAMES: Final = ("plain", "offered", "buffered")
SINGLES: Final = 100
CALLERS: Final = 50
MANY: Final = 2000
ROUNDS: Final = 5
FLUSHED: Final = 100_000
INTO: Final = 1000
AT_ONCE: Final = 5000


async def measure_buffered(url: str) -> Mapping[str, float]:
    """Return processor microseconds of this process per job added, in bulk, one by one and by fifty tasks: where there
    are no buffers (plain), where one does not collect it (offered), and where one does.

    And of a flush the seconds, those of the processor, and by how many megabytes the process grew, beside the seconds
    of bare statements.
    """
    app = Conveyor(url)
    queue = app.queue("bench")
    buffer = JobBuffer("b", collect=lambda job: job.name == "buffered", reduce=union("numbers"))
    samples: dict[str, list[float]] = {f"buffer_{how}_{name}_cpu_us": [] for how in HOWS for name in NAMES}
    async with app:
        for _ in range(ROUNDS):
            await _measure_adds(queue, "plain", samples)
            app.buffers.add_buffer(buffer)
            for name in NAMES[1:]:
                await _measure_adds(queue, name, samples)
            await app.buffers.flush()
            app.buffers.remove_buffer(buffer)
        app.buffers.add_buffer(buffer)
        spans = {name: statistics.median(series) for name, series in samples.items()}
        return {**spans, **await _flush(app, queue), **_flush_floor(url)}


async def _measure_adds(queue: Queue, name: str, samples: dict[str, list[float]]) -> None:
    samples[f"buffer_many_{name}_cpu_us"].append(await _add_many(queue, name))
    samples[f"buffer_single_{name}_cpu_us"].append(await _add_singly(queue, name))
    samples[f"buffer_concurrent_{name}_cpu_us"].append(await _add_concurrently(queue, name))


def _flush_floor(url: str) -> Mapping[str, float]:
    if not url.startswith("sqlite:"):
        return {}
    with tempfile.TemporaryDirectory(prefix="conveyor-bench-") as folder:
        return {"floor buffer_flush_s": sqlite_flush(Path(folder), FLUSHED, INTO)}


async def _add_many(queue: Queue, name: str) -> float:
    jobs = [_job(queue, name, number) for number in range(MANY)]
    begun = time.process_time()
    await queue.add_many(jobs)
    return (time.process_time() - begun) / MANY * 1e6


async def _add_singly(queue: Queue, name: str) -> float:
    begun = time.process_time()
    for number in range(SINGLES):
        await queue.add(name, {"numbers": [number], "shop": 0})
    return (time.process_time() - begun) / SINGLES * 1e6


async def _add_concurrently(queue: Queue, name: str) -> float:
    begun = time.process_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(_add_singly, queue, name)
    return (time.process_time() - begun) / SINGLES / CALLERS * 1e6


def _job(queue: Queue, name: str, number: int) -> NewJob:
    return queue.new(name, {"numbers": [number], "shop": number * INTO // FLUSHED})


async def _flush(app: Conveyor, queue: Queue) -> Mapping[str, float]:
    for start in range(0, FLUSHED, AT_ONCE):
        await queue.add_many([_job(queue, "buffered", start + number) for number in range(AT_ONCE)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, begun = time.process_time(), time.perf_counter()
    flushed = await app.buffers.flush()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if len(flushed["b"]) != INTO:
        raise RuntimeError(f"{FLUSHED} jobs went into {len(flushed['b'])}, not into {INTO}")
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"buffer_flush_s": seconds, "buffer_flush_cpu_s": cpu, "buffer_flush_mb": more / 1024}
