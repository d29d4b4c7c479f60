"""A handler's process, as its worker sees it: started, told what to run, heard, and ended for good."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, cast

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from conveyor.codec import encode_json
from conveyor.codec.remote_runs import HEADER_SIZE, body_size, frame, read_report
from conveyor.errors import ConveyorInternalError, ProcessDiedError
from conveyor.model.flows import Child
from conveyor.model.remote_runs import ChildrenAnswer, ProcessSetup

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, ByteSendStream, Process

    from conveyor._services.context import JobContext
    from conveyor.model.remote_runs import RunEnd, RunOrder, RunReport

__all__ = ["HandlerProcess"]

logger: Final = logging.getLogger("conveyor.worker")

# Without -P, a module in the working directory could stand in the place of one of Python's own.
COMMAND: Final = (sys.executable, "-P", "-m", "conveyor._runtime.processes.child")
# How long one that was told to end may take, and how long one that was killed may: a kernel may be slow about it.
LAST_SECONDS: Final = 5.0
_CUT: Final = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class HandlerProcess:
    """Runs handlers one after another, in a session of its own: Ctrl-C in a terminal does not reach it."""

    def __init__(self, process: Process) -> None:
        """Take a process that was started; use `start`."""
        self._process = process
        self._orders = cast("ByteSendStream", process.stdin)
        self._reports = BufferedByteReceiveStream(cast("ByteReceiveStream", process.stdout))
        self._untold = frame(_setup())
        self.has_begun = False

    @classmethod
    async def start(cls) -> Self:
        """Start one; it is ready when it is."""
        # A cancel in the middle would leave a process that nobody knows.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, start_new_session=True
            )
            return cls(process)
        raise ConveyorInternalError("the start of a handler's process was cancelled behind its shield")

    @property
    def is_over(self) -> bool:
        """Whether it is known to have ended."""
        return self._process.returncode is not None

    async def run(self, order: RunOrder, context: JobContext) -> RunEnd:
        """Run one job, passing on what its handler reports; return how it ended.

        Raises:
            ProcessDiedError: the process ended first. `has_begun` says whether the run had begun.
        """
        self.has_begun = False
        try:
            told, self._untold = self._untold, b""
            await self._orders.send(told + frame(order))
            while True:
                report = await self._next_report()
                self.has_begun = True
                if report.end is not None:
                    return report.end
                if report.asks_children:
                    await self._orders.send(frame(await _children(context)))
                _pass_on(report, context)
        except _CUT as exc:
            job = order.job
            raise ProcessDiedError(await self._how_it_ended(), job_id=job.id, queue_name=job.queue_name) from exc

    async def _next_report(self) -> RunReport:
        size = body_size(await self._reports.receive_exactly(HEADER_SIZE))
        return read_report(await self._reports.receive_exactly(size))

    async def close(self) -> None:
        """Tell it to end when it has nothing to do, and see that it does."""
        with anyio.move_on_after(LAST_SECONDS):
            await self._orders.aclose()
            await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End it now, with all that it started in its session, and return when it is gone."""
        with anyio.move_on_after(LAST_SECONDS, shield=True) as in_time:
            self._kill()
            await self._process.aclose()
        if in_time.cancelled_caught:
            logger.error("process %d of a handler was killed, and is still there", self._process.pid)

    def _kill(self) -> None:
        if self.is_over:
            return
        try:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except ProcessLookupError:
            pass  # it ended by itself, just now

    async def _how_it_ended(self) -> str:
        with anyio.move_on_after(LAST_SECONDS):
            await self._process.wait()
        code = self._process.returncode
        if code is None:
            return "it closed its connection to the worker"
        if code >= 0:
            return f"it ended with exit code {code}"
        try:
            return f"it was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was killed by signal {-code}"


def _pass_on(report: RunReport, context: JobContext) -> None:
    if report.log is not None:
        context.log(report.log)
    if report.progress is not None:
        context.progress(report.progress.done, report.progress.total, report.progress.message)


async def _children(context: JobContext) -> ChildrenAnswer:
    known = await context.children()
    return ChildrenAnswer(
        tuple(
            Child(child.job_id, child.queue_name, child.name, child.outcome, encode_json(child.value), child.error)
            for child in known
        )
    )


def _setup() -> ProcessSetup:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    return ProcessSetup(
        tuple(sys.path),
        main_module=None if spec is None else spec.name,
        main_path=None if path is None else str(Path(path).absolute()),
        arguments=tuple(sys.argv),
    )
