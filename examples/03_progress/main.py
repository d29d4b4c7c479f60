"""Watching a job: progress and log lines while it runs, and a cancel that reaches the handler."""

import os

import anyio

from conveyor import Conveyor, JobContext
from conveyor.errors import JobFailedError

app = Conveyor("memory://")
videos = app.queue("videos")


@videos.job()
async def encode(context: JobContext, title: str, frames: int) -> str:
    for frame in range(1, frames + 1):
        await anyio.sleep(0.01)
        context.progress(frame, frames, f"frame {frame}")
        if frame % 10 == 0:
            context.log(f"{frame} frames of {title} are done")
    return f"{title}.mp4"


async def main() -> None:
    async with app, app.worker():
        job = await encode.add("holiday", 30)
        while not (await job.refresh()).state.is_settled:
            if job.progress is not None and job.progress.total is not None:
                print(f"{job.progress.done / job.progress.total:4.0%} {job.progress.message}")
            await anyio.sleep(0.1)
        print(await job.result())
        for line in await job.logs():
            print(f"log: {line.message}")

        endless = await encode.add("the whole archive", 1_000_000)
        await anyio.sleep(0.1)
        await endless.cancel("nobody watches it")
        try:
            await endless.result()
        except JobFailedError as failure:
            print(f"{endless.state}: {failure.error}")


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
