"""What is opened inside hosts: handlers that end and that hang, and a strategy that fails when told to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from conveyor import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor import Conveyor, Job

__all__ = ["FailingQueue", "add_handlers", "is_active"]


class FailingQueue:
    """A job queue strategy whose life ends by an error when the test says so."""

    def __init__(self, *, opens: bool = True) -> None:
        self.opens = anyio.Event()
        self.is_opening = anyio.Event()
        self.fails = anyio.Event()
        self.is_closed = False
        if opens:
            self.opens.set()

    @asynccontextmanager
    async def lifespan(self, injector: object) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._fail)
            try:
                self.is_opening.set()
                await self.opens.wait()
                yield
            finally:
                self.is_closed = True
            tasks.cancel_scope.cancel()

    async def _fail(self) -> None:
        await self.fails.wait()
        raise LookupError("gone")

    async def init(self, *_: object) -> None: ...
    async def destroy(self) -> None: ...
    async def add(self, *_: object) -> Any: ...
    async def add_many(self, *_: object) -> Any: ...
    async def start(self, *_: object) -> None: ...
    async def stop(self, *_: object) -> tuple[str, ...]:
        return ()


async def is_active(job: Job[Any]) -> bool:
    """Look whether a job runs."""
    return (await job.refresh()).state is JobState.ACTIVE


def add_handlers(app: Conveyor) -> None:
    """Give the app one handler that ends, and one that does not."""

    @app.queue("work").job()
    async def double(number: int) -> int:
        return number * 2

    @app.queue("work").job()
    async def hang() -> None:
        await anyio.sleep_forever()
