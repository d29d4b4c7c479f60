"""Jobs that fail: retried after a wait, put off without counting, or given up at once."""

import os
from typing import Any

import anyio

from conveyor import Conveyor, Failed, Job, JobContext, Snooze, exponential
from conveyor.errors import JobFailedError

app = Conveyor("memory://")
calls = app.queue("calls", attempts=4, backoff=exponential("50ms", factor=2, jitter=0.25))


@calls.job()
async def ring(context: JobContext, number: str) -> str:
    """Nobody answers the first two calls; each failure waits longer than the one before."""
    if context.attempt < 3:
        raise ConnectionError(f"{number} does not answer")
    return f"{number} answered at attempt {context.attempt}"


@calls.job()
async def ring_when_open(context: JobContext, number: str) -> str | Snooze:
    """A snooze is no failure: the job runs again later, and no attempt is counted."""
    waited = context.job.run_at - context.job.created_at
    if waited.total_seconds() < 0.2:
        return Snooze("100ms")
    return f"{number} reached at attempt {context.attempt}"


@calls.job()
async def ring_unknown(number: str) -> Failed:
    """Some failures are for good."""
    return Failed(f"{number} does not exist", retry=False)


async def tell(job: Job[Any]) -> None:
    try:
        print(f"{job.name}: {await job.result(timeout='10s')}")
    except JobFailedError as failure:
        print(f"{job.name}: {failure.error}")
    for attempt in await job.attempts():
        print(f"  attempt {attempt.number} {attempt.outcome}: {attempt.error or 'no error'}")


async def main() -> None:
    async with app, app.worker():
        await tell(await ring.add("555-0101"))
        await tell(await ring_when_open.add("555-0102"))
        await tell(await ring_unknown.add("555-0103"))


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
