"""The crew: the demo's worker processes, started, killed, and stopped by their handles alone."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final, Literal, Self

import anyio
import anyio.abc
from attrs import define, field

if TYPE_CHECKING:
    from types import TracebackType

    from conveyor._cli.demo.folder import Folder

__all__ = ["Crew", "CrewError", "WorkerProcess"]

# A worker gives its running jobs one second; what takes longer is killed.
GOODBYE_SECONDS: Final = 4.0


class CrewError(Exception):
    """A worker process ended that should not have."""


@define
class WorkerProcess:
    """One worker process."""

    number: int
    backend: Literal["asyncio", "trio"]
    process: anyio.abc.Process
    is_killed: bool = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def __str__(self) -> str:
        """Return what the demo calls it."""
        return f"worker {self.number} ({self.backend}, pid {self.pid})"


@define
class Crew:
    """Starts worker processes and, when its block is left, ends all of them."""

    folder: Folder
    concurrency: int
    workers: list[WorkerProcess] = field(factory=list)

    async def __aenter__(self) -> Self:
        """Nobody works yet."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End every process, also while the program is being cancelled."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for worker in self.workers:
                    tasks.start_soon(_end, worker.process)

    async def start(self, backend: Literal["asyncio", "trio"]) -> WorkerProcess:
        """Start one more worker. Its standard input is its life line: it ends when that does."""
        number = len(self.workers) + 1
        module = ("-m", "conveyor._cli.demo.work", str(self.folder.path))
        options = ("--backend", backend, "--concurrency", str(self.concurrency))
        with self.folder.worker_log(number).open("wb") as log:
            # -P: no module in the user's current folder may pass for one of the standard library.
            # A session of its own: Ctrl-C reaches this process only, which then ends its workers in order.
            process = await anyio.open_process(
                [sys.executable, "-P", *module, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        worker = WorkerProcess(number, backend, process)
        self.workers.append(worker)
        return worker

    async def kill(self, worker: WorkerProcess) -> None:
        """End a worker with SIGKILL: it can write, hand back and say nothing more."""
        worker.is_killed = True
        worker.process.kill()
        await worker.process.wait()

    def check(self) -> None:
        """Raise CrewError where a worker ended by itself."""
        for worker in self.workers:
            code = worker.process.returncode
            if code is not None and not worker.is_killed:
                said = self.folder.worker_log(worker.number).read_text("utf-8", "replace").strip()
                raise CrewError(f"{worker} ended with exit code {code}: {said[-2_000:] or 'it said nothing'}")


async def _end(process: anyio.abc.Process) -> None:
    """Close a worker's standard input and let it go; kill it if it takes too long."""
    with anyio.move_on_after(GOODBYE_SECONDS):
        if process.stdin is not None:
            await process.stdin.aclose()
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
