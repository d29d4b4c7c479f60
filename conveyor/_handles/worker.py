"""AppWorker: what ``app.worker(...)`` returns; open it with ``async with``."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from conveyor._handles.same_task import SameTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from conveyor._runtime.worker import Worker

__all__ = ["AppWorker"]


class AppWorker:
    """A worker of this program. While it is open, jobs run; leaving the block stops it gracefully."""

    def __init__(self, open_worker: Callable[[], AbstractAsyncContextManager[Worker]]) -> None:
        """Made by ``app.worker``."""
        self._open_worker = open_worker
        self._opened: AbstractAsyncContextManager[Worker] | None = None
        self._task = SameTask("app.worker()")

    async def __aenter__(self) -> Self:
        """Start working."""
        self._task.enter()
        self._opened = self._open_worker()
        try:
            await self._opened.__aenter__()
        except BaseException:
            self._task.leave()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop: gracefully, or at once when an exception passes through."""
        self._task.leave()
        opened, self._opened = self._opened, None
        return None if opened is None else await opened.__aexit__(exc_type, exc, traceback)
