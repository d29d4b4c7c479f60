"""``conveyor dev``: a worker for the time of writing code."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from conveyor._cli.parameters import APP_HELP, flattened
from conveyor._cli.worker.asked import LogLevel, ReloadOptions, WorkerCommand, one_reference

__all__ = ["dev"]

_DEFAULTS: Final = ReloadOptions()
_CONCURRENCY: Final = 4


def dev(
    reference: Annotated[str | None, Parameter(name="module:attr", help=APP_HELP)] = None,
    /,
    *,
    log_level: Annotated[LogLevel, Parameter(help="How much to log on stderr.")] = "debug",
    options: Annotated[ReloadOptions, flattened] = _DEFAULTS,
) -> int:
    """Run the jobs of an app while you write it: say what each does, and start again when a .py file changes.

    It is conveyor worker with --reload and --log-jobs, and fewer jobs at once.
    """
    from conveyor._cli.worker.reloading import run_reloading

    asked = WorkerCommand(
        verbose=True,
        queues=options.queues,
        concurrency=_CONCURRENCY if options.concurrency is None else options.concurrency,
        shutdown_grace=options.shutdown_grace,
        backend=options.backend,
        store=options.store,
        reload_dir=options.reload_dir,
        log_level=log_level,
        log_jobs=True,
        reload=True,
    )
    return run_reloading(one_reference(reference, options.app), asked)
