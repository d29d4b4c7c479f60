"""The way to asyncpg, which lives on asyncio: directly, on a loop within trio's, or on one in a thread of its own.

One crossing for each operation of the store, never for each statement: a connection is taken and given back on the
far side. A call is not cancelled halfway. It goes to its end, which every operation has a time limit for, and the
cancellation arrives after it; so what took effect is always known. Statements of users are the exception.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import sniffio

from conveyor.errors import ConfigurationError, ConveyorInternalError
from conveyor_plugin_postgres.options import BridgeKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    import trio

__all__ = ["Bridge", "open_bridge", "run_blocking", "run_where_it_lives"]

T = TypeVar("T")


class Bridge(Protocol):
    """Runs asyncio's coroutines for a program on whichever loop."""

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]], /, *, shield: bool = True) -> T:
        """Run a coroutine on the asyncio side, and return what it returns or raise what it raises.

        It runs to its end, unless `shield` is False: then it is cancelled with its caller.
        """
        ...

    def post(self, function: Callable[..., object], /, *args: object) -> None:
        """From the asyncio side, call a function on the side of the program, now or soon."""
        ...


@asynccontextmanager
async def open_bridge(kind: BridgeKind | None) -> AsyncIterator[Bridge]:
    """Open the bridge that the running loop needs.

    Args:
        kind: what to use under trio; None: the loop within trio's where this Python has it, else the thread.
    """
    if sniffio.current_async_library() == "asyncio":
        yield _Direct()
    elif kind is BridgeKind.THREAD or (kind is None and sys.version_info >= (3, 14)):
        async with _open_thread() as bridge:
            yield bridge
    else:
        # Imported here alone: it changes how asyncio finds its loops, and cannot be imported on Python 3.14.
        import trio_asyncio

        async with trio_asyncio.open_loop() as loop:
            yield _WithinTrio(loop)


def run_blocking(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of the calling thread, which has no other."""
    return loop.run_until_complete(work)


async def run_where_it_lives(connection: Any, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine that uses a caller's asyncpg connection: here, or on the loop within trio's that it was made on.

    Raises:
        ConfigurationError: it lives on a loop that cannot be reached from here.
    """
    loop: Any = connection._loop  # noqa: SLF001 - asyncpg does not show it
    if sniffio.current_async_library() == "asyncio":
        if loop is not asyncio.get_running_loop():
            raise ConfigurationError("connection= was made on another event loop: make one on this loop")
        return await work()
    if not hasattr(loop, "run_aio_coroutine"):
        raise ConfigurationError("connection= was made on a loop of asyncio that trio cannot reach: use trio_asyncio's")
    answer: T = await loop.run_aio_coroutine(work())
    return answer


class _Direct:
    """The program runs on asyncio."""

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]], /, *, shield: bool = True) -> T:
        if not shield:
            return await work()
        with anyio.CancelScope(shield=True):
            return await work()
        raise _swallowed()

    def post(self, function: Callable[..., object], /, *args: object) -> None:
        function(*args)


class _WithinTrio:
    """The program runs on trio, and asyncio's loop is a task of it."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]], /, *, shield: bool = True) -> T:
        # By the loop object, not by the context: tasks from before the loop was opened may call, too.
        with anyio.CancelScope(shield=shield):
            answer: T = await self._loop.run_aio_coroutine(work())
            return answer
        raise _swallowed()

    def post(self, function: Callable[..., object], /, *args: object) -> None:
        function(*args)


class _InThread:
    """The program runs on trio, and asyncio's loop in a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, token: trio.lowlevel.TrioToken) -> None:
        self._loop = loop
        self._token = token

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]], /, *, shield: bool = True) -> T:
        done = anyio.Event()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(work()))
            tasks[0].add_done_callback(lambda _: self._token.run_sync_soon(done.set))

        self._loop.call_soon_threadsafe(start)
        try:
            with anyio.CancelScope(shield=shield):
                await done.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108 - it may not have begun
            with anyio.CancelScope(shield=True):
                # Not before the coroutine is at its end: what it used is used again next.
                await done.wait()
            raise
        return tasks[0].result()

    def post(self, function: Callable[..., object], /, *args: object) -> None:
        self._token.run_sync_soon(function, *args)


def _swallowed() -> ConveyorInternalError:
    return ConveyorInternalError("a scope that nobody cancels ended with a cancellation")


@asynccontextmanager
async def _open_thread() -> AsyncIterator[_InThread]:
    import trio

    # Made by its class: trio_asyncio, where something has imported it, changes what new_event_loop() returns.
    loop = asyncio.SelectorEventLoop()
    thread = threading.Thread(target=loop.run_forever, name="conveyor-postgres", daemon=True)
    thread.start()
    try:
        yield _InThread(loop, trio.lowlevel.current_trio_token())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(thread.join)
        loop.close()
