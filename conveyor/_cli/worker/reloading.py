"""``conveyor worker --reload``: one worker process, started again when the code has changed."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from attrs import evolve

from conveyor._cli.failures import ExitCode
from conveyor._cli.output import say
from conveyor._cli.worker.asked import child_arguments
from conveyor._cli.worker.child import Child, exit_words
from conveyor._cli.worker.forwarding import Forwarding
from conveyor._runtime.wakeup import Wakeup
from conveyor.errors import ConfigurationError
from conveyor.model.worker_options import parse_worker_keywords

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from conveyor._cli.worker.asked import WorkerCommand

__all__ = ["Reloader", "run_reloading"]

# Whoever writes code waits for it: a job that takes longer is handed back, and runs with the new code.
_GRACE: Final = "2s"
# How much later than the grace the end may come.
_PATIENCE_SECONDS: Final = 5.0
# Changes that come within this time are one change.
_DEBOUNCE_MILLISECONDS: Final = 400
_QUIET_MILLISECONDS: Final = 100


def run_reloading(reference: str | None, asked: WorkerCommand) -> int:
    """Run the worker that is asked for, anew after each change, until a signal stops it; return the exit code.

    Raises:
        ConfigurationError: watchfiles is not installed, or there is no such folder.
    """
    if os.name != "posix":
        raise ConfigurationError(f"--reload needs POSIX signals, which {sys.platform} does not have")
    if find_spec("watchfiles") is None:
        raise ConfigurationError("--reload needs watchfiles: pip install 'conveyor[dev]'")
    folders = asked.reload_dir or [Path.cwd()]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(f"--reload-dir {folder}: there is no such folder")
    if asked.shutdown_grace is None:
        asked = evolve(asked, shutdown_grace=_GRACE)
    options = parse_worker_keywords(asked.keywords)
    reloader = Reloader(child_arguments(reference, asked), folders, options.shutdown_grace)
    return anyio.run(reloader.run, backend=asked.backend)


class Reloader:
    """Keeps one process running with the newest code."""

    def __init__(self, arguments: Sequence[str], folders: Sequence[Path], grace: timedelta) -> None:
        """Describe the process, what to watch, and how long running jobs may take to end after a change."""
        self._forwarding, self._changed = Forwarding(is_talking=False), Wakeup()
        self._patience_seconds = grace.total_seconds() + _PATIENCE_SECONDS
        self._arguments = arguments
        self._folders = folders

    async def run(self) -> int:
        """Return the exit code."""
        code: int = ExitCode.OK
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._forwarding.run, name="conveyor signals")
            tasks.start_soon(self._watch, name="conveyor changes")
            say(f"watching .py files in {', '.join(map(str, self._folders))}; Ctrl+C stops")
            while not self._forwarding.is_stopping:
                code = await self._run_until_changed()
            tasks.cancel_scope.cancel()
        return self._forwarding.exit_code([code])

    async def _watch(self) -> None:
        from watchfiles import PythonFilter, awatch

        async for changes in awatch(
            *self._folders,
            watch_filter=PythonFilter(),
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_QUIET_MILLISECONDS,
            stop_event=self._forwarding.stopping,
        ):
            say(f"{_named(path for _, path in changes)} changed: starting again")
            self._changed.set()

    async def _run_until_changed(self) -> int:
        """Run a process until it ends; once it has ended by itself, wait for a change. Return its exit code."""
        self._changed = Wakeup()  # what changed before this process starts, it has
        child = Child(self._arguments)
        forget = self._forwarding.add(child)
        was_changed, code = False, int(ExitCode.FAILED)
        async with anyio.create_task_group() as tasks:

            async def replace() -> None:
                nonlocal was_changed
                await self._changed.wait()
                was_changed = True
                await self._stop(child)

            tasks.start_soon(replace, name="conveyor replacement")
            code = await child.run(anyio.Lock())
            tasks.cancel_scope.cancel()
        forget()
        if was_changed or self._forwarding.is_stopping:
            return code
        say(f"the worker {exit_words(code)}; it starts again when a file changes")
        await self._changed_or_stopped()
        # What it exited with before has been said; to stop it now is no failure.
        return ExitCode.OK

    async def _changed_or_stopped(self) -> None:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await self._forwarding.stopping.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop)
            await self._changed.wait()
            tasks.cancel_scope.cancel()

    async def _stop(self, child: Child) -> None:
        """Ask the child to stop, ever more firmly; cancelled when it has."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            child.send(number)
            await anyio.sleep(self._patience_seconds)


def _named(paths: Iterable[str]) -> str:
    here = Path.cwd()
    known = sorted(Path(path) for path in paths)
    first = known[0].relative_to(here) if known[0].is_relative_to(here) else known[0]
    return str(first) if len(known) == 1 else f"{first} and {len(known) - 1} more"
