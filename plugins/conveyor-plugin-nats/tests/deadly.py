"""``python deadly.py URL``: a worker that dies of one of its jobs, and says nothing to anybody."""

from __future__ import annotations

import os
import sys

import anyio
from conveyor_plugin_nats.queue import NatsJobQueue

from conveyor import Conveyor

__all__ = ["DEADLY", "QUEUE"]

QUEUE = "dangers"
DEADLY = 3


async def work(url: str) -> None:
    """Work until killed, by a job or by whoever started it."""
    app = Conveyor("memory://", job_queue=NatsJobQueue(url))

    @app.queue(QUEUE).job()
    async def live(number: int) -> int:
        # Long enough for all that are delivered together to have begun.
        await anyio.sleep(0.2)
        if number == DEADLY:
            os._exit(1)
        await anyio.sleep(0.2)
        return number

    async with app, app.worker(concurrency=10):
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(work, sys.argv[1])
