"""``python -m tests.benchmarks.starts URL BACKEND``: a worker that prints when each of its jobs starts."""

from __future__ import annotations

import sys
import time

import anyio

from conveyor import Conveyor

QUEUE = "bench"


async def serve(url: str) -> None:
    """Run jobs until terminated."""
    app = Conveyor(url)

    @app.queue(QUEUE).job()
    async def start() -> None:
        _say(time.monotonic())

    async with app, app.worker(QUEUE):
        _say("ready")
        await anyio.sleep_forever()


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1], backend=sys.argv[2])
