"""A worker process that this one has started, and looks after."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio

from conveyor._cli.worker.asked import PARENT_PIPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anyio.abc import ByteReceiveStream, Process

__all__ = ["Child", "exit_words"]

# What a process of its own holds open of our pipes, long after the child has ended, is not waited for.
_LAST_WORDS_SECONDS: Final = 1.0


class Child:
    """Started by `run`. It stops by itself when this process is gone, however that came about."""

    def __init__(self, arguments: Sequence[str], prefix: str | None = None) -> None:
        """Describe a process.

        Args:
            arguments: the command.
            prefix: begins each line that the process says; None: it has our stdin, stdout and stderr.
        """
        self._arguments = arguments
        self._prefix = prefix
        self._process: Process | None = None
        self._unsent: signal.Signals | None = None

    async def run(self, starting: anyio.Lock) -> int:
        """Return the exit code, negative for a signal. Cancelled, it kills the process.

        Args:
            starting: shared by all children: one of them starts at a time.
        """
        theirs, ours = os.pipe()
        try:
            async with starting:
                process = self._process = await self._start(theirs)
            if self._unsent is not None:
                self.send(self._unsent)
            async with process:
                return await self._follow(process)
        finally:
            self._process = None
            os.close(theirs)
            os.close(ours)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that is just being started gets it then."""
        if self._process is None:
            self._unsent = number
        elif self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and that is on its way to us
                self._process.send_signal(number)

    async def _start(self, pipe: int) -> Process:
        stream = None if self._prefix is None else subprocess.PIPE
        command = [*self._arguments, f"{PARENT_PIPE}={pipe}"]
        with _dump_signal_ignored():
            return await anyio.open_process(
                command,
                stdin=None if self._prefix is None else subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                # Ctrl-C is for us, who hand it on: otherwise the process would hear it twice.
                start_new_session=True,
                pass_fds=(pipe,),
            )

    async def _follow(self, process: Process) -> int:
        async with anyio.create_task_group() as tasks:
            if process.stdout is not None:
                tasks.start_soon(self._copy, process.stdout, sys.stdout.buffer)
            if process.stderr is not None:
                tasks.start_soon(self._copy, process.stderr, sys.stderr.buffer)
            await process.wait()
            tasks.cancel_scope.deadline = anyio.current_time() + _LAST_WORDS_SECONDS
        return await process.wait()

    async def _copy(self, source: ByteReceiveStream, target: BinaryIO) -> None:
        rest = b""
        async for chunk in source:
            *lines, rest = (rest + chunk).split(b"\n")
            self._write(lines, target)
        if rest:
            self._write([rest], target)

    def _write(self, lines: Sequence[bytes], target: BinaryIO) -> None:
        prefix = (self._prefix or "").encode()
        target.write(b"".join(prefix + line + b"\n" for line in lines))
        target.flush()


@contextlib.contextmanager
def _dump_signal_ignored() -> Iterator[None]:
    """Let a new process ignore SIGUSR1 until it can answer it: unless told otherwise, it would end of it."""
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous)


def exit_words(code: int) -> str:
    """Return an exit code in words.

    >>> exit_words(1), exit_words(-9)
    ('exited with 1', 'was ended by SIGKILL')
    """
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
