"""``conveyor bench``: measures a store through the public API, and checks that each job ran exactly once."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Final

from cyclopts import Parameter, validators

from conveyor._cli.output import say, show_record
from conveyor._cli.parameters import Backend, StoreOptions, flattened

__all__ = ["bench"]

_DEFAULTS: Final = StoreOptions()
_SMALLEST: Final = 10


def bench(
    *,
    jobs: Annotated[
        int, Parameter(help="How many jobs to add and run.", validator=validators.Number(gte=_SMALLEST))
    ] = 5000,
    concurrency: Annotated[
        int | None, Parameter(help="How many jobs run at once; the worker's default unless given.")
    ] = None,
    backend: Annotated[Backend, Parameter(help="The event loop.")] = "asyncio",
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Measure a store: adds and runs per second, and how soon an idle worker starts a job.

    A tenth of the jobs is added one by one, a fifth by 100 callers at once, the rest in thousands; then a worker
    runs them all (their handler does nothing) until every outcome is written. The pickup time is from the call of
    add to the start of the handler. Works in a queue of its own, which is removed at the end. Exits with 1 if a job
    did not complete exactly once.
    """
    import anyio

    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor._cli.measuring import Bench
    from conveyor.model.worker_options import WorkerKeywords, parse_worker_keywords

    keywords: WorkerKeywords = {} if concurrency is None else {"concurrency": concurrency}
    parse_worker_keywords(keywords)  # what is wrong is said before anything is opened
    measured = Bench(find_operated_app(options), jobs, keywords, say if sys.stderr.isatty() else _keep_quiet)
    result = anyio.run(partial(measured.run, backend), backend=backend)
    show_record(result, options.output)
    if measured.complaints:
        raise CommandError(ExitCode.FAILED, "; ".join(measured.complaints), "please report it: this must not happen")
    return ExitCode.OK


def _keep_quiet(_: str, /) -> None:
    """Say nothing: nobody watches."""
