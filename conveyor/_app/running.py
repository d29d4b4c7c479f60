"""The ways to run an app's worker in the foreground, until a signal stops it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, Unpack

import anyio

from conveyor._runtime import foreground
from conveyor._runtime.onlookers import LoggingOnlooker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from conveyor._app.app import Conveyor
    from conveyor._runtime.board import RunListener
    from conveyor._runtime.onlookers import Onlooker
    from conveyor._runtime.worker import Worker
    from conveyor.model.worker_options import WorkerKeywords

__all__ = ["run", "run_in_foreground", "run_until_signalled"]


async def run_in_foreground(app: Conveyor, queues: Sequence[str | Mapping[str, int]], options: WorkerKeywords) -> None:
    """Do what `Conveyor.run` does; how the worker comes up and goes down is logged."""
    await run_until_signalled(app, queues, options, LoggingOnlooker())


async def run_until_signalled(
    app: Conveyor,
    queues: Sequence[str | Mapping[str, int]],
    options: WorkerKeywords,
    onlooker: Onlooker,
    *,
    listener: RunListener | None = None,
    is_burst: bool = False,
) -> bool:
    """Do what `Conveyor.run` does, and return whether running jobs were allowed to end.

    Args:
        app: the app.
        queues: as for ``app.worker``.
        options: as for ``app.worker``.
        onlooker: told how the worker comes up and goes down.
        listener: told of every run.
        is_burst: return as soon as nothing waits.
    """

    @asynccontextmanager
    async def open_worker() -> AsyncIterator[Worker]:
        async with app, app._open_worker(queues, options, listener) as worker:  # noqa: SLF001 - of this package
            yield worker

    return await foreground.run_until_signalled(open_worker, onlooker, is_burst=is_burst)


def run(
    app: Conveyor,
    *queues: str | Mapping[str, int],
    backend: Literal["asyncio", "trio"] = "asyncio",
    **options: Unpack[WorkerKeywords],
) -> None:
    """Run an app's worker until a signal stops it: the blocking edge, for ``if __name__ == "__main__":``.

    Args:
        app: the app.
        queues: as for ``app.worker``.
        backend: the event loop to run it on.
        options: as for ``app.worker``.
    """
    anyio.run(partial(app.run, *queues, **options), backend=backend)
