"""``conveyor worker``: runs an app's jobs until a signal stops it."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from conveyor._cli.output import say
from conveyor._cli.parameters import APP_HELP, Backend, CommonOptions, flattened
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._app import Conveyor
    from conveyor.model.options import WorkerKeywords, WorkerOptions

__all__ = ["worker"]

_DEFAULTS: Final = CommonOptions()
_LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def worker(  # noqa: PLR0913 - one for each option
    reference: Annotated[str | None, Parameter(name="module:attr", help=APP_HELP)] = None,
    /,
    *,
    queues: Annotated[
        list[str] | None,
        Parameter(negative="", consume_multiple=True, help="Queues to serve, each with an optional weight: emails:3."),
    ] = None,
    concurrency: Annotated[int | None, Parameter(help="How many jobs run at once; 10 unless given.")] = None,
    shutdown_grace: Annotated[
        str | None, Parameter(help="How long running jobs may take to end after the first signal; 30s unless given.")
    ] = None,
    backend: Annotated[Backend, Parameter(help="The event loop.")] = "asyncio",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Parameter(help="How much to log on stderr.")
    ] = "info",
    store: Annotated[str | None, Parameter(help="URL of the store, instead of the app's own.")] = None,
    app: Annotated[str | None, Parameter(help="The same as the argument.")] = None,
    options: Annotated[CommonOptions, flattened] = _DEFAULTS,
) -> int:
    """Run the jobs of an app until a signal stops it.

    The first SIGINT or SIGTERM lets running jobs end, the second cancels them and hands them back, the third exits
    at once. Exits with 0 after the first, with 130 after the second.
    """
    del options  # read by main, for its --verbose
    import anyio

    from conveyor._cli.discovery import find_app
    from conveyor.model.options import parse_worker_keywords

    _log_to_stderr(log_level)
    keywords = _keywords(concurrency, shutdown_grace)
    parsed = parse_worker_keywords(keywords)
    weights = _parse_weights(queues or [])
    served = find_app(_one_of(reference, app), store)
    return anyio.run(partial(_serve, served, weights, keywords, parsed), backend=backend)


async def _serve(app: Conveyor, weights: Mapping[str, int], keywords: WorkerKeywords, options: WorkerOptions) -> int:
    from conveyor._app import run_until_signalled
    from conveyor._cli.failures import ExitCode

    queues = [weights] if weights else []
    if await run_until_signalled(app, queues, keywords, lambda: say(_announcement(app, weights, options))):
        say("stopped: every running job has ended, or is handed back")
        return ExitCode.OK
    say("cancelled: what was running is handed back")
    return ExitCode.INTERRUPTED


def _announcement(app: Conveyor, weights: Mapping[str, int], options: WorkerOptions) -> str:
    import sniffio

    from conveyor import __version__
    from conveyor._cli.opening import services_of

    services = services_of(app)
    served = weights or dict.fromkeys(services.handlers.queue_names(), 1)
    queues = [
        f"  queue {name}{f' (weight {weight})' if weight > 1 else ''}: {', '.join(services.handlers.names(name))}"
        for name, weight in served.items()
    ]
    grace = f"{options.shutdown_grace.total_seconds():g}s"
    lines = [
        f"conveyor {__version__}: worker {os.getpid()} on {sniffio.current_async_library()}",
        f"  store {services.store.name}",
        *queues,
        f"  {options.concurrency} jobs at once",
        f"  Ctrl+C: running jobs may end ({grace} at most); twice: they are cancelled and handed back",
    ]
    return "\n".join(lines)


def _log_to_stderr(level: str) -> None:
    # An app that set up logging by itself keeps what it set up: this does nothing where there are handlers.
    logging.basicConfig(stream=sys.stderr, format=_LOG_FORMAT)
    logging.getLogger("conveyor").setLevel(level.upper())


def _keywords(concurrency: int | None, shutdown_grace: str | None) -> WorkerKeywords:
    keywords: WorkerKeywords = {}
    if concurrency is not None:
        keywords["concurrency"] = concurrency
    if shutdown_grace is not None:
        keywords["shutdown_grace"] = shutdown_grace
    return keywords


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


def _one_of(reference: str | None, app: str | None) -> str | None:
    if reference is not None and app is not None and reference != app:
        raise ConfigurationError(f"the app is named twice, as {reference!r} and with --app {app!r}; name it once")
    return reference if reference is not None else app
