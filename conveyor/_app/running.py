"""The ways to run an app's worker in the foreground, until a signal stops it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, Unpack

import anyio

from conveyor._runtime import foreground
from conveyor._runtime.onlookers import LoggingOnlooker
from conveyor.contracts.job_queue import DeliveringJobQueueStrategy
from conveyor.errors import ConfigurationError

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

    Raises:
        ConfigurationError: a burst is asked for, and the job queue cannot tell when nothing waits.
    """

    @asynccontextmanager
    async def open_worker() -> AsyncIterator[Worker]:
        async with app:
            if is_burst:
                _check_burst(app)
            async with app._open_worker(queues, options, listener) as worker:  # noqa: SLF001 - of this package
                yield worker

    return await foreground.run_until_signalled(open_worker, onlooker, is_burst=is_burst)


def _check_burst(app: Conveyor) -> None:
    job_queue = app._services.job_queue  # noqa: SLF001 - of this package
    if isinstance(job_queue, DeliveringJobQueueStrategy):
        raise ConfigurationError(
            f"a burst ends when nothing waits, which {type(job_queue).__name__} cannot tell: a broker gives what it "
            "has, and does not say that it has no more. End the worker after a number of runs (--max-jobs), or by a "
            "signal"
        )


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
