"""Jobs that compute, each in a process of its own; one kills its process, and nobody else notices."""

import os
import signal

import anyio

from conveyor import Conveyor, JobContext
from conveyor.errors import JobFailedError

app = Conveyor("memory://")
sums = app.queue("sums")


@sums.job(executor="process", timeout="1 minute")
def count_primes(context: JobContext, below: int) -> int:
    found = 0
    for number in range(2, below):
        found += all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        if number % 1000 == 0:
            context.progress(number, below)
    return found


@sums.job(executor="process")
def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out


async def main() -> None:
    async with app, app.worker(concurrency=2, max_stalled=0):
        jobs = await count_primes.add_many([count_primes.new(below) for below in (1_000, 10_000)])
        crashing = await crash.add()
        print([await job.result(timeout="1 minute") for job in jobs])  # [168, 1229]
        try:
            await crashing.result(timeout="1 minute")
        except JobFailedError as error:
            print(error.error)


if __name__ == "__main__":
    anyio.run(main, backend=os.environ.get("BACKEND", "asyncio"))
