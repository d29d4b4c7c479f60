"""Pictures get thumbnails; one that is broken is tried again, and becomes a dead letter.

    python thumbnails.py nats://localhost:4222

It makes the stream `thumbnails`, which you may remove afterwards.
"""

from __future__ import annotations

import os
import sys

import anyio

from conveyor import Conveyor, JobContext, fixed
from conveyor.errors import JobFailedError

app = Conveyor("memory://", job_queue=f"{sys.argv[1]}?stream=thumbnails")


@app.queue("thumbnails").job(attempts=2, backoff=fixed("100ms"))
async def shrink(context: JobContext, picture: str) -> str:
    if picture.startswith("broken"):
        raise ValueError(f"attempt {context.attempt}: {picture} is no picture")
    return f"small-{picture}"


async def main() -> None:
    async with app, app.worker():
        print(await (await shrink.add("ada.png")).result(timeout="20s"))
        broken = await shrink.add("broken.png")
        try:
            await broken.result(timeout="20s")
        except JobFailedError as exc:
            print(f"{exc.state}: {exc.error}")


anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
