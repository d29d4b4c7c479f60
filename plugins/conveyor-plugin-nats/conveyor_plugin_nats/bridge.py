"""The way to nats-py, which lives on asyncio: a loop in a thread of its own, for programs on trio and on asyncio alike.

One crossing for each operation, never for each message. The thread answers the server also while a handler blocks the
program's loop. A call is not cancelled halfway: it goes to its end, which every operation has a time limit for, and
the cancellation arrives after it; so what took effect is always known. A wait for jobs is the exception.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import sniffio

from conveyor.errors import ConveyorInternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Bridge"]

T = TypeVar("T")


class Bridge:
    """Runs asyncio's coroutines in a thread, for the loop that it was opened on."""

    def __init__(self) -> None:
        """Start the thread."""
        self._post = _way_back()
        # Made by its class: trio_asyncio, where something has imported it, changes what new_event_loop() returns.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conveyor-nats", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]], /, *, shield: bool = True) -> T:
        """Run a coroutine in the thread, and return what it returns or raise what it raises.

        It runs to its end, unless `shield` is False: then it is cancelled with its caller.
        """
        done = anyio.Event()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(work()))
            tasks[0].add_done_callback(lambda _: self._post(done.set))

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

    async def close(self) -> None:
        """End the thread, and what still runs in it. Nothing may be called meanwhile, or afterwards."""
        await self.call(_cancel_others)
        self._loop.call_soon_threadsafe(self._loop.stop)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)
        self._loop.close()


async def _cancel_others() -> None:
    """Cancel what the client leaves behind where its server is gone."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _way_back() -> Callable[[Callable[[], object]], object]:
    """Return what calls a function on the running loop, from any thread."""
    library = sniffio.current_async_library()
    if library == "asyncio":
        return asyncio.get_running_loop().call_soon_threadsafe
    if library == "trio":
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon
    raise ConveyorInternalError(f"no way back to a loop of {library}")
