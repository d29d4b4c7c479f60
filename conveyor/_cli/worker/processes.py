"""``conveyor worker --processes``: several worker processes, started again when they die."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio

from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.output import say
from conveyor._cli.worker.asked import child_arguments
from conveyor._cli.worker.child import Child, exit_words
from conveyor._cli.worker.forwarding import Forwarding
from conveyor._cli.worker.restarts import Restarts
from conveyor.errors import CapabilityError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._app import Conveyor
    from conveyor._cli.worker.asked import WorkerCommand

__all__ = ["Processes", "run_processes"]


def run_processes(reference: str | None, asked: WorkerCommand, wanted: int | Literal["auto"]) -> int:
    """Run as many workers as wanted until a signal stops them, and return the exit code.

    Raises:
        ConfigurationError: an option is wrong, or there is no such app.
        CapabilityError: its store is not for several processes.
        CommandError: a process died again and again.
    """
    if os.name != "posix":
        raise ConfigurationError(f"--processes needs POSIX signals, which {sys.platform} does not have")
    count = _processors() if wanted == "auto" else wanted
    if count < 1:
        raise ConfigurationError(f"--processes takes a whole number of at least 1, or auto; got {count}")
    _check(reference, asked, count)
    say(f"{count} worker process{'' if count == 1 else 'es'}, looked after by {os.getpid()}")
    processes = Processes(child_arguments(reference, asked), count, ends_with_children=asked.burst)
    return anyio.run(processes.run, backend=asked.backend)


def _check(reference: str | None, asked: WorkerCommand, count: int) -> None:
    """Say once, and before anything runs, what each of the processes would say."""
    from conveyor._cli.discovery import find_app
    from conveyor.model.worker_options import parse_worker_keywords

    parse_worker_keywords(asked.keywords)
    app = find_app(reference, asked.store)
    app._weights([asked.weights])  # noqa: SLF001 - nouns of the front hide it from users, not from the rooms
    name, is_shared = anyio.run(partial(_sharing, app), backend=asked.backend)
    if count > 1 and not is_shared:
        raise CapabilityError(name, "is_shared", f"--processes {count}")


async def _sharing(app: Conveyor) -> tuple[str, bool]:
    from conveyor._cli.opening import open_store, url_of

    store = app._given.store  # noqa: SLF001 - as above
    if store is not None and not isinstance(store, str):
        return store.name, store.capabilities.is_shared
    async with open_store(app, url_of(app)) as opened:
        return opened.name, opened.capabilities.is_shared


class Processes:
    """Keeps a number of processes alive, until it is told to stop."""

    def __init__(self, arguments: Sequence[str], count: int, *, ends_with_children: bool) -> None:
        """Describe them.

        Args:
            arguments: the command of each.
            count: how many.
            ends_with_children: one that exits with 0 has done its work, and is not started again.
        """
        self._arguments = arguments
        self._count = count
        self._ends_with_children = ends_with_children
        self._forwarding, self._starting = Forwarding(is_talking=True), anyio.Lock()
        self._codes: list[int] = []
        self._failure: CommandError | None = None

    async def run(self) -> int:
        """Return the exit code.

        Raises:
            CommandError: a process died again and again; the others have stopped.
        """
        async with anyio.create_task_group() as listening:
            await listening.start(self._forwarding.run, name="conveyor signals")
            async with anyio.create_task_group() as keepers:
                for number in range(1, self._count + 1):
                    keepers.start_soon(self._keep, number, name=f"conveyor process {number}")
            listening.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return self._forwarding.exit_code(self._codes)

    async def _keep(self, number: int) -> None:
        restarts, forwarding = Restarts(), self._forwarding
        while not forwarding.is_stopping:
            started_at = anyio.current_time()
            code = await self._run_child(number)
            if forwarding.is_stopping or (self._ends_with_children and code == ExitCode.OK):
                self._codes.append(code)
                return
            wait_seconds = restarts.wait_seconds(code, anyio.current_time() - started_at)
            if wait_seconds is None:
                self._give_up(number, code)
                return
            when = f"in {wait_seconds:g} s" if wait_seconds else "now"
            say(f"process {number} {exit_words(code)}; starting it again {when}")
            with anyio.move_on_after(wait_seconds):
                await forwarding.stopping.wait()

    async def _run_child(self, number: int) -> int:
        child = Child(self._arguments, f"[{number}] ")
        forget = self._forwarding.add(child)
        try:
            return await child.run(self._starting)
        finally:
            forget()

    def _give_up(self, number: int, code: int) -> None:
        known = {member.value for member in ExitCode}
        self._failure = CommandError(
            ExitCode(code) if code in known else ExitCode.FAILED,
            f"process {number} {exit_words(code)}, and starting it again does not help",
            f"see what it said above, at [{number}]; the other processes have stopped",
        )
        self._forwarding.stop()


def _processors() -> int:
    # Those that this process may use, where that can be asked.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
