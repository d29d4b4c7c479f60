"""A worker in this process."""

from __future__ import annotations

import logging
import os
import signal
import stat
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO

from conveyor.model.masking import Masking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor._app import Conveyor
    from conveyor._cli.countdown import Countdown
    from conveyor._cli.worker.asked import WorkerCommand
    from conveyor._cli.worker.runs import Runs
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["serve"]

_LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def serve(reference: str | None, asked: WorkerCommand) -> int:
    """Run the worker that is asked for, and return the exit code.

    Raises:
        ConfigurationError: an option is wrong, or there is no such app.
    """
    import anyio

    from conveyor._cli.countdown import Countdown
    from conveyor._cli.discovery import find_app
    from conveyor._cli.leaving import leave_threads_behind
    from conveyor._cli.worker.runs import Runs
    from conveyor.model.worker_options import parse_worker_keywords

    formatter = _MaskingFormatter(_LOG_FORMAT)
    _log_to_stderr(asked.log_level, formatter)
    weights = asked.weights
    parsed = parse_worker_keywords(asked.keywords)
    app = find_app(reference, asked.store)
    formatter.masking = app.masking
    runs = Runs(app, is_talking=asked.log_jobs)
    countdown = Countdown(lambda: _announcement(app, weights, parsed), runs.summary)
    code = anyio.run(partial(_serve, app, asked, countdown, runs), backend=asked.backend)
    if countdown.worker is not None:
        leave_threads_behind(countdown.worker.jobs_in_threads, code)
    return code


async def _serve(app: Conveyor, asked: WorkerCommand, countdown: Countdown, runs: Runs) -> int:
    import anyio

    from conveyor._app import run_until_signalled
    from conveyor._cli.failures import ExitCode
    from conveyor._runtime.lifecycle import lone_exceptions

    queues = [asked.weights] if asked.weights else []
    could_end = False
    async with lone_exceptions(), anyio.create_task_group() as tasks:
        if asked.parent_pipe is not None:
            tasks.start_soon(_stop_with_parent, asked.parent_pipe)
        # Nobody asks how the runs of a worker ended that goes on for ever: it is not told of them.
        counts = asked.burst or asked.max_jobs is not None or asked.log_jobs
        could_end = await run_until_signalled(
            app,
            queues,
            asked.keywords,
            countdown,
            listener=runs if counts else None,
            is_burst=asked.burst,
        )
        tasks.cancel_scope.cancel()
    return ExitCode.OK if could_end else ExitCode.INTERRUPTED


async def _stop_with_parent(pipe: int) -> None:
    """Stop as if signalled when the parent has gone, however it went: it never writes into the pipe."""
    import anyio

    await anyio.wait_readable(pipe)
    # Nobody reads what it says any more, and a word into a closed pipe is an error.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)
    os.kill(os.getpid(), signal.SIGTERM)


def _announcement(app: Conveyor, weights: Mapping[str, int], options: WorkerOptions) -> str:
    import sniffio

    from conveyor import __version__
    from conveyor._cli.opening import services_of

    services = services_of(app)
    served = app._weights([weights])  # noqa: SLF001 - nouns of the front hide it from users, not from the rooms
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


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the time: while a countdown stands on the terminal, lines go above it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _MaskingFormatter(logging.Formatter):
    """Leaves secrets out of each line, and out of the traceback below it."""

    masking: Masking = Masking()

    def format(self, record: logging.LogRecord) -> str:
        return self.masking.text(super().format(record))


def _log_to_stderr(level: str, formatter: logging.Formatter) -> None:
    handler = _StderrHandler()
    handler.setFormatter(formatter)
    # An app that set up logging by itself keeps what it set up: this does nothing where there are handlers.
    logging.basicConfig(handlers=[handler])
    logging.getLogger("conveyor").setLevel(level.upper())
