"""Inside a program of your own: a trio nursery or an asyncio task group. `main.py trio`, `main.py asyncio`."""

import asyncio
import os
import sys

import trio

from conveyor import Conveyor

app = Conveyor("memory://")
orders = app.queue("orders")


@orders.job()
async def pack(order: int) -> str:
    return f"order {order} is packed"


async def take_order(order: int) -> None:
    """What the program does anyway: it adds a job, and may wait for it."""
    job = await pack.add(order)
    print(await job.result(timeout="10s"))


async def trio_main() -> None:
    async with app, app.worker(concurrency=2), trio.open_nursery() as nursery:
        for order in (1, 2, 3):
            nursery.start_soon(take_order, order)


async def asyncio_main() -> None:
    async with app, app.worker(concurrency=2), asyncio.TaskGroup() as tasks:
        for order in (1, 2, 3):
            tasks.create_task(take_order(order))


if __name__ == "__main__":
    backend = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BACKEND", "trio")
    if backend == "trio":
        trio.run(trio_main)
    else:
        asyncio.run(asyncio_main())
