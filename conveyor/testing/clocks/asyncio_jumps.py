"""An asyncio event loop that jumps to its next deadline when there is nothing to do but wait."""

from __future__ import annotations

import asyncio
import selectors
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anyio._backends import _asyncio as anyio_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["JumpingLoop", "hold"]


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its time is its own: it moves by jumps, and with the real time while something real is under way."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.holds: int = 0
        self._now_seconds = 0.0
        self._real_since: float | None = None
        selector = _JumpingSelector(self)
        super().__init__(selector)
        selector.own_count = len(selector.get_map())

    def time(self) -> float:
        """Return the loop's time in seconds."""
        since = self._real_since
        return self._now_seconds if since is None else self._now_seconds + time.perf_counter() - since

    def jump(self, seconds: float) -> None:
        """Skip some time."""
        self._now_seconds += seconds

    def be_real(self, is_real: bool) -> None:
        """Let time pass at its usual pace from now on, or only by jumps."""
        if is_real == (self._real_since is not None):
            return
        self._now_seconds = self.time()
        self._real_since = time.perf_counter() if is_real else None

    def run_in_executor(  # type: ignore[override] # looser than typeshed's, which differs between its versions
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run a function in a thread; no jumps until it has ended."""
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        self.holds += 1
        future.add_done_callback(self._release)
        return future

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """Wait for the threads of the executor; since Python 3.12 for so many real seconds at most."""
        with hold():
            await super().shutdown_default_executor(*timeout)

    def _release(self, future: asyncio.Future[Any]) -> None:
        self.holds -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; when nothing is ready and nothing real is under way, moves the loop's time instead of waiting."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self.own_count = 0
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready; see the class."""
        ready: list[Any] = super().select(0)
        self._loop.be_real(self._is_real())
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self._is_real():
            waited: list[Any] = super().select(timeout)
            return waited
        self._loop.jump(timeout)
        return []

    def _is_real(self) -> bool:
        return self._loop.holds > 0 or len(self.get_map()) > self.own_count or _busy_threads(self._loop) > 0


def _busy_threads(loop: JumpingLoop) -> int:
    """Return how many of anyio's worker threads of this loop are at work."""
    # anyio has no public count, and none of its limiters knows of all: those that callers bring are theirs.
    if asyncio.current_task(loop) is None and loop.is_closed():
        return 0
    workers = anyio_backend._threadpool_workers.get(set())  # noqa: SLF001 - see above; test_clocks.py watches it
    idle = anyio_backend._threadpool_idle_workers.get(())  # noqa: SLF001 - as above
    return len(workers) - len(idle)


@contextmanager
def hold() -> Iterator[None]:
    """Keep the running loop from jumping, if it is one that jumps."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, JumpingLoop):
        yield
        return
    loop.holds += 1
    loop.be_real(True)
    try:
        yield
    finally:
        loop.holds -= 1
