"""``conveyor worker``: runs an app's jobs until a signal stops it."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from conveyor._cli.parameters import APP_HELP, flattened
from conveyor._cli.worker.asked import WorkerCommand, one_reference
from conveyor.errors import ConfigurationError

__all__ = ["worker"]

_DEFAULTS: Final = WorkerCommand()


def worker(
    reference: Annotated[str | None, Parameter(name="module:attr", help=APP_HELP)] = None,
    /,
    *,
    asked: Annotated[WorkerCommand, flattened] = _DEFAULTS,
) -> int:
    """Run the jobs of an app until a signal stops it.

    Exits with 0 after the first signal, with 130 after the second.
    """
    reference = one_reference(reference, asked.app)
    if asked.reload and asked.processes is not None:
        raise ConfigurationError("--reload runs one process; leave out --processes")
    if asked.reload_dir and not asked.reload:
        raise ConfigurationError("--reload-dir is for --reload, and for conveyor dev")
    if asked.reload:
        from conveyor._cli.worker.reloading import run_reloading

        return run_reloading(reference, asked)
    if asked.processes is not None:
        from conveyor._cli.worker.processes import run_processes

        return run_processes(reference, asked, asked.processes)
    from conveyor._cli.worker.serving import serve

    return serve(reference, asked)
