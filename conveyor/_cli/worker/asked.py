"""What the worker commands are asked for, and the command line that asks a child process for the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

from conveyor._cli.parameters import APP_HELP, Backend, CommonOptions
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.worker_options import WorkerKeywords

__all__ = ["LogLevel", "ReloadOptions", "WorkOptions", "WorkerCommand", "child_arguments", "one_reference"]

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

PARENT_PIPE: Final = "--parent-pipe"

_flag: Final = Parameter(negative="", show_default=False)


@frozen(kw_only=True)
class WorkOptions(CommonOptions):
    """What a worker is to do, wherever it runs."""

    queues: Annotated[
        list[str] | None,
        Parameter(negative="", consume_multiple=True, help="Queues to serve, each with an optional weight: emails:3."),
    ] = None
    concurrency: Annotated[int | None, Parameter(help="How many jobs run at once; 10 unless given.")] = None
    shutdown_grace: Annotated[
        str | None, Parameter(help="How long running jobs may take to end after the first signal; 30s unless given.")
    ] = None
    backend: Annotated[Backend, Parameter(help="The event loop.")] = "asyncio"
    store: Annotated[str | None, Parameter(help="URL of the store, instead of the app's own.")] = None
    app: Annotated[str | None, Parameter(help=APP_HELP)] = None

    @property
    def weights(self) -> Mapping[str, int]:
        """The queues and their weights.

        Raises:
            ConfigurationError: one is not written as a name with an optional weight, or is named twice.
        """
        return _parse_weights(self.queues or [])

    @property
    def keywords(self) -> WorkerKeywords:
        """What of it is for the worker."""
        keywords: WorkerKeywords = {}
        if self.concurrency is not None:
            keywords["concurrency"] = self.concurrency
        if self.shutdown_grace is not None:
            keywords["shutdown_grace"] = self.shutdown_grace
        return keywords


@frozen(kw_only=True)
class ReloadOptions(WorkOptions):
    """What a worker is to do that starts again after changes."""

    reload_dir: Annotated[
        list[Path] | None,
        Parameter(negative="", consume_multiple=True, help="Folders to watch, instead of the working directory."),
    ] = None


@frozen(kw_only=True)
class WorkerCommand(ReloadOptions):
    """What ``conveyor worker`` takes."""

    burst: Annotated[bool, _flag, Parameter(help="End as soon as nothing waits, is due or runs.")] = False
    max_jobs: Annotated[int | None, Parameter(help="End after so many runs; with --processes, start afresh.")] = None
    processes: Annotated[
        int | Literal["auto"] | None,
        Parameter(help="Run so many worker processes, and start those again that die; auto: one for each processor."),
    ] = None
    reload: Annotated[bool, _flag, Parameter(help="Start again when a .py file changes.")] = False
    log_level: Annotated[LogLevel, Parameter(help="How much to log on stderr.")] = "info"
    log_jobs: Annotated[bool, _flag, Parameter(help="Say when each job starts and ends.")] = False
    parent_pipe: Annotated[int | None, Parameter(show=False)] = None

    @property
    def keywords(self) -> WorkerKeywords:
        """What of it is for the worker."""
        keywords = super().keywords
        if self.max_jobs is not None:
            keywords["max_jobs"] = self.max_jobs
        return keywords


def one_reference(given: str | None, app: str | None) -> str | None:
    """Return the app that the argument or ``--app`` names.

    Raises:
        ConfigurationError: they name two.
    """
    if given is not None and app is not None and given != app:
        raise ConfigurationError(f"the app is named twice, as {given!r} and with --app {app!r}; name it once")
    return given if given is not None else app


def child_arguments(reference: str | None, asked: WorkerCommand) -> Sequence[str]:
    """Return the command that does in a process of its own what is asked, once."""
    valued = {
        "--app": reference,
        "--concurrency": asked.concurrency,
        "--shutdown-grace": asked.shutdown_grace,
        "--backend": asked.backend,
        "--store": asked.store,
        "--max-jobs": asked.max_jobs,
        "--log-level": asked.log_level,
    }
    flags = {"--burst": asked.burst, "--log-jobs": asked.log_jobs, "--verbose": asked.verbose}
    arguments = [f"{name}={value}" for name, value in valued.items() if value is not None]
    arguments += [name for name, is_given in flags.items() if is_given]
    arguments += [f"--queues={queue}" for queue in asked.queues or ()]
    return (sys.executable, "-m", "conveyor", "worker", *arguments)


def _parse_weights(queues: Sequence[str]) -> Mapping[str, int]:
    weights: dict[str, int] = {}
    for given in queues:
        name, separator, weight = given.rpartition(":")
        if not separator:
            name, weight = given, "1"
        if not weight.isdecimal() or int(weight) < 1 or not name:
            raise ConfigurationError(
                f"--queues takes names with an optional weight of at least 1, such as emails:3; got {given!r} "
                "(module:attr comes before --queues)"
            )
        if name in weights:
            raise ConfigurationError(f"--queues names {name!r} twice; name it once, with a weight")
        weights[name] = int(weight)
    return weights
