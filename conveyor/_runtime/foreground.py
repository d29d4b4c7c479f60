"""The foreground: a worker that has the program to itself, until a signal or its own end stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from conveyor._runtime.dumps import dumping
from conveyor._runtime.lifecycle import lone_exceptions
from conveyor._runtime.signals import watch_signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from conveyor._runtime.onlookers import Onlooker
    from conveyor._runtime.worker import Worker

__all__ = ["run_until_signalled"]


async def run_until_signalled(
    open_worker: Callable[[], AbstractAsyncContextManager[Worker]], onlooker: Onlooker, *, is_burst: bool = False
) -> bool:
    """Run a worker until a signal, or until it has done what it was to do; return whether running jobs could end.

    Args:
        open_worker: opens the app and its worker.
        onlooker: told how the worker comes up and goes down.
        is_burst: end as soon as nothing waits.
    """
    stopped, work = anyio.Event(), anyio.CancelScope()
    running: list[Worker] = []
    async with lone_exceptions(), anyio.create_task_group() as tasks:

        def stop(signal_name: str) -> None:
            stopped.set()
            tasks.start_soon(onlooker.stopping, signal_name, name="conveyor countdown")

        def cancel(signal_name: str) -> None:
            onlooker.cancelling(signal_name)
            work.cancel()

        with work, dumping(lambda: running[0] if running else None):
            await tasks.start(watch_signals, stop, cancel)
            async with open_worker() as worker:
                running.append(worker)
                onlooker.started(worker)
                ends = (stopped.wait, worker.finished, *((worker.drained,) if is_burst else ()))
                await _first_of(ends)
        tasks.cancel_scope.cancel()
    onlooker.ended(was_cancelled=work.cancelled_caught)
    return not work.cancelled_caught


async def _first_of(waits: tuple[Callable[[], Awaitable[object]], ...]) -> None:
    async with anyio.create_task_group() as tasks:

        async def wait(end: Callable[[], Awaitable[object]]) -> None:
            await end()
            tasks.cancel_scope.cancel()

        for end in waits:
            tasks.start_soon(wait, end)
