"""AppWorker: what ``app.worker(...)`` returns; open it with ``async with``."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from conveyor._handles.same_task import SameTask
from conveyor.errors import ConfigurationError

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
        self._worker: Worker | None = None
        self._task = SameTask("app.worker()")

    async def __aenter__(self) -> Self:
        """Start working."""
        self._task.enter()
        self._opened = self._open_worker()
        try:
            self._worker = await self._opened.__aenter__()
        except BaseException:
            self._task.leave()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop: gracefully, or at once when an exception passes through."""
        self._task.leave()
        opened, self._opened, self._worker = self._opened, None, None
        return None if opened is None else await opened.__aexit__(exc_type, exc, traceback)

    @property
    def is_paused(self) -> bool:
        """Whether it was paused, and not resumed since."""
        return self._worker is not None and self._worker.is_paused

    def pause(self) -> None:
        """Begin no more jobs until `resume`; running ones go on, and what was fetched ahead goes back to its queue.

        It holds for this worker alone, and while it is open: ``queue.pause()`` holds for all, and outlives restarts.

        Raises:
            ConfigurationError: the worker is not open.
            CapabilityError: the job queue strategy runs jobs by itself, and asks no worker.
        """
        self._open().pause()

    def resume(self) -> None:
        """Begin jobs again. Raises ConfigurationError where the worker is not open."""
        self._open().resume()

    def _open(self) -> Worker:
        if self._worker is None:
            raise ConfigurationError("the worker is not open: `async with app.worker() as worker: worker.pause()`")
        return self._worker
