"""Hosting: blocks that live in a task of their host, opened by one of its tasks and closed by any other."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import anyio
import anyio.abc

from conveyor._runtime.lifecycle import lone_exceptions
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

__all__ = ["HostGroup", "HostLoop", "HostedBlocks", "open_blocks_in"]

logger: Final = logging.getLogger("conveyor.app")

TASK_NAME: Final = "conveyor app"


@runtime_checkable
class HostGroup(Protocol):
    """An anyio task group, or a trio nursery: it tells when a task has started, and cancels its tasks."""

    def start(self, func: Callable[..., Awaitable[Any]], /, *args: Any, name: object = None) -> Awaitable[Any]:
        """Start a task, and return when it calls ``task_status.started()``."""
        ...

    def start_soon(self, func: Callable[..., Awaitable[Any]], /, *args: Any, name: object = None) -> object:
        """Start a task and return at once."""
        ...


@runtime_checkable
class HostLoop(Protocol):
    """An asyncio.TaskGroup, or an asyncio event loop where the host has no group at all."""

    def create_task(self, coro: Coroutine[Any, Any, None], *, name: str | None = None) -> object:
        """Start a task and return it."""
        ...


class HostedBlocks:
    """Blocks that one task enters in order, keeps open, and leaves in reverse."""

    def __init__(self, blocks: Sequence[AbstractAsyncContextManager[object]]) -> None:
        """Take the blocks, outermost first. Must be called inside the event loop."""
        self._blocks = blocks
        self._closing = anyio.Event()
        self._closed = anyio.Event()
        self.has_begun: bool = False
        self.failure: Exception | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Keep the blocks open until `close` is called, or the host cancels this task."""
        self.has_begun = True
        try:
            async with lone_exceptions(), AsyncExitStack() as stack:
                for block in self._blocks:
                    await stack.enter_async_context(block)
                task_status.started()
                await self._closing.wait()
        finally:
            self._closed.set()

    async def close(self) -> None:
        """Leave the blocks, and return when they are left; any task may call it, and more than once.

        Raises:
            Exception: what ended them before, where the host has no group that it could go to.
        """
        self._closing.set()
        await self._closed.wait()
        if self.failure is not None:
            raise self.failure


async def open_blocks_in(
    host: HostGroup | HostLoop, blocks: Sequence[AbstractAsyncContextManager[object]]
) -> HostedBlocks:
    """Open blocks in a task of the host, and return once they are open; what fails until then is raised here.

    Raises:
        ConfigurationError: the host is of another kind, or takes no more tasks.
    """
    hosted = HostedBlocks(blocks)
    try:
        if isinstance(host, HostGroup):
            await host.start(hosted.run, name=TASK_NAME)
        elif isinstance(host, HostLoop):
            await _Start(host, hosted).run()
        else:
            raise ConfigurationError(
                f"an app is opened in an anyio task group, a trio nursery, an asyncio.TaskGroup or an asyncio event "
                f"loop; got {host!r}"
            )
    except RuntimeError as exc:
        if hosted.has_begun:
            raise
        raise ConfigurationError(
            f"{host!r} takes no tasks: open the app while the block of its task group is open ({exc})"
        ) from exc
    return hosted


class _Start(anyio.abc.TaskStatus[None]):
    """Does for asyncio's own tasks what ``start`` does elsewhere; it is the task status of the blocks' task."""

    def __init__(self, host: HostLoop, hosted: HostedBlocks) -> None:
        self._host = host
        self._hosted = hosted
        self._scope = anyio.CancelScope()
        self._told = anyio.Event()
        self._is_started = False
        self._error: Exception | None = None
        # The event loop itself keeps no task alive.
        self._task: object = None

    def started(self, value: None = None) -> None:  # noqa: ARG002 - the value of a task status
        self._is_started = True
        self._told.set()

    async def run(self) -> None:
        coroutine = self._live()
        try:
            self._task = self._host.create_task(coroutine, name=TASK_NAME)
        except RuntimeError:
            coroutine.close()
            raise
        is_taken = False
        try:
            await self._told.wait()
            is_taken = True
        finally:
            if not is_taken:
                self._scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._told.wait()
        if self._error is not None:
            raise self._error
        if not self._is_started:
            raise ConfigurationError(f"{self._host!r} cancelled the app before it was open")

    async def _live(self) -> None:
        try:
            with self._scope:
                await self._hosted.run(task_status=self)
        except Exception as exc:
            if not self._is_started:
                self._error = exc
            elif isinstance(self._host, AbstractAsyncContextManager):
                raise
            else:
                self._hosted.failure = exc
                logger.exception("the app ended by an error, which its host has no task group for; close() raises it")
        finally:
            self._told.set()
