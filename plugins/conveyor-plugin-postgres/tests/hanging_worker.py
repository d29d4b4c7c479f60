"""A worker to be killed while it runs a job: ``python hanging_worker.py BACKEND URL LOCK_SECONDS``."""

from __future__ import annotations

import sys

import anyio

from conveyor import Conveyor


async def work(url: str, lock_seconds: float) -> None:
    """Run jobs that do not end, and say that one has begun."""
    app = Conveyor(url)

    @app.queue("orders").job()
    async def pack() -> None:
        print("began", flush=True)
        await anyio.sleep_forever()

    async with app, app.worker("orders", lock_duration=lock_seconds):
        await anyio.sleep_forever()


if __name__ == "__main__":
    backend, given_url, seconds = sys.argv[1:]
    anyio.run(work, given_url, float(seconds), backend=backend)
