"""``python -m tests.benchmarks.cancels URL BACKEND``: a worker that prints when its jobs start and are cancelled.

As a module: how long it takes from a cancel until the handler of a running job hears of it, here and in that process.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Final

import anyio
import sniffio
from anyio.streams.buffered import BufferedByteReceiveStream

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["measure_cancels", "measure_cancels_across"]

QUEUE: Final = "bench"
SAMPLES: Final = 50
WARM_UPS: Final = 5
LONGEST_LINE: Final = 100


async def measure_cancels(url: str) -> Mapping[str, float]:
    """Cancel jobs that run here."""
    send, receive = anyio.create_memory_object_stream[float](1)
    app = _app(url, send.send_nowait)
    async with app, app.worker(QUEUE):

        async def one() -> float:
            job = await app.queue(QUEUE).add("hang")
            await receive.receive()
            cancelled_at = time.monotonic()
            await job.cancel()
            return await receive.receive() - cancelled_at

        figures = await _measured("cancel", one)
    send.close()
    receive.close()
    return figures


async def measure_cancels_across(url: str) -> Mapping[str, float]:
    """Cancel jobs that run in another process."""
    app = Conveyor(url)
    command = [sys.executable, "-m", "tests.benchmarks.cancels", url, sniffio.current_async_library()]
    async with app, await anyio.open_process(command, stderr=None) as worker:
        assert worker.stdout is not None
        lines = BufferedByteReceiveStream(worker.stdout)
        await lines.receive_until(b"\n", LONGEST_LINE)

        async def one() -> float:
            job = await app.queue(QUEUE).add("hang")
            await lines.receive_until(b"\n", LONGEST_LINE)
            cancelled_at = time.monotonic()  # the clock that both processes share
            await job.cancel()
            return float(await lines.receive_until(b"\n", LONGEST_LINE)) - cancelled_at

        figures = await _measured("cancel_across", one)
        worker.terminate()
    return figures


async def _measured(name: str, one: Callable[[], Awaitable[float]]) -> Mapping[str, float]:
    samples = [await one() * 1000 for _ in range(SAMPLES + WARM_UPS)][WARM_UPS:]
    quantiles = statistics.quantiles(samples, n=100)
    return {f"{name}_p50_ms": quantiles[49], f"{name}_p99_ms": quantiles[98]}


def _app(url: str, tell: Callable[[float], None]) -> Conveyor:
    """Return an app whose jobs tell when they start, and when they are cancelled."""
    app = Conveyor(url)

    @app.queue(QUEUE).job()
    async def hang() -> None:
        tell(time.monotonic())
        try:
            await anyio.sleep_forever()
        finally:
            tell(time.monotonic())

    return app


async def _serve(url: str) -> None:
    app = _app(url, _say)
    async with app, app.worker(QUEUE):
        _say("ready")
        await anyio.sleep_forever()


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(_serve, sys.argv[1], backend=sys.argv[2])
