"""A producer and a worker in two processes, over one SQLite file in a temporary folder."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

import anyio

import conveyor

app = conveyor.Conveyor()  # the store is what CONVEYOR_STORE says when the app is opened
primes = app.queue("primes")


@primes.job()
def count_primes(below: int) -> list[int]:
    """A sync handler runs in a thread of the worker. The answer names the process that counted."""
    count = sum(all(number % divisor for divisor in range(2, int(number**0.5) + 1)) for number in range(2, below))
    return [count, os.getpid()]


async def produce() -> None:
    async with app:  # no worker in this process: it only adds, and waits
        limits = [10, 100, 1_000, 10_000]
        jobs = await count_primes.add_many([count_primes.new(limit) for limit in limits])
        for limit, job in zip(limits, jobs, strict=True):
            count, pid = await job.result(timeout="20s")
            where = "elsewhere" if pid != os.getpid() else "here"
            print(f"{count} primes below {limit}, counted {where}")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CONVEYOR_STORE"] = f"sqlite:///{Path(folder) / 'jobs.db'}"
        worker = await anyio.open_process([sys.executable, __file__, "worker"])
        try:
            await produce()
        finally:
            worker.terminate()  # it finishes what runs, and hands back the rest
            await worker.wait()


if __name__ == "__main__":
    backend: Literal["asyncio", "trio"] = "trio" if os.environ.get("BACKEND") == "trio" else "asyncio"
    if sys.argv[1:] == ["worker"]:
        conveyor.run(app, backend=backend)
    else:
        anyio.run(main, backend=backend)
