"""A host with start and stop callbacks: the app lives in the host's trio nursery, or in its asyncio task group.

`main.py trio`, `main.py asyncio`.
"""

import asyncio
import os
import sys

import trio

from conveyor import Conveyor, OpenApp

app = Conveyor("memory://")
orders = app.queue("orders")


@orders.job()
async def pack(order: int) -> str:
    return f"order {order} is packed"


class Shop:
    """A part of a larger program, which starts and stops its parts in whatever task it likes."""

    opened: OpenApp

    async def start(self, tasks: trio.Nursery | asyncio.TaskGroup) -> None:
        """Return once jobs run; if the app fails later, the group is told."""
        self.opened = await app.open_in(tasks, app.worker(concurrency=2))

    async def stop(self) -> None:
        """Let running jobs end. If the group is cancelled instead, they are handed back, and wait again."""
        await self.opened.close()


async def sell() -> None:
    for order in (1, 2, 3):
        job = await pack.add(order)
        print(await job.result(timeout="10s"))


async def trio_main() -> None:
    shop = Shop()
    async with trio.open_nursery() as nursery:
        await shop.start(nursery)
        await sell()
        nursery.start_soon(shop.stop)


async def asyncio_main() -> None:
    shop = Shop()
    async with asyncio.TaskGroup() as tasks:
        await shop.start(tasks)
        await sell()
        tasks.create_task(shop.stop())


if __name__ == "__main__":
    backend = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BACKEND", "trio")
    if backend == "trio":
        trio.run(trio_main)
    else:
        asyncio.run(asyncio_main())
