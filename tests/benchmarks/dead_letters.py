"""What it costs to fail the jobs of a buffer whose `reduce` fails, the more of them there are."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final

from conveyor import Conveyor, JobBuffer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.buffers.values import BufferedJob

__all__ = ["measure_dead_letters"]

SIZES: Final = (1000, 4000, 16_000)


def _refuse(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
    raise ValueError(f"{len(jobs)} are too many")


async def measure_dead_letters(url: str) -> Mapping[str, float]:
    """Return microseconds per job in which a flush of so many fails them all: of this process's processor, and in all.

    Each chunk is a step by itself, and its jobs fail together, so a job costs the same however many there are.
    """
    app = Conveyor(url)
    queue = app.queue("bench")
    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=_refuse, on_reduce_error="dead_letter"))
    figures: dict[str, float] = {}
    async with app:
        # What comes first meets statements that are not prepared yet.
        for size in (SIZES[0], *SIZES):
            await queue.add_many([queue.new("doomed", {"number": number}) for number in range(size)])
            before = await queue.count("failed")
            gc.collect()
            gc.disable()
            cpu, begun = time.process_time(), time.perf_counter()
            await app.buffers.flush()
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            gc.enable()
            if await queue.count("failed") != before + size:
                raise RuntimeError(f"not all of {size} jobs failed")
            figures[f"dead_letter_{size}_us"] = seconds / size * 1e6
            figures[f"dead_letter_{size}_cpu_us"] = cpu / size * 1e6
    return figures
