"""Signals for worker processes: the first lets jobs end, the second hands them back, the third kills."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._cli.failures import ExitCode
from conveyor._cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conveyor._cli.worker.child import Child

__all__ = ["Forwarding"]

# How a child ends when it is told to: in order, or before it was up.
_ENDS: Final = frozenset({ExitCode.OK, ExitCode.INTERRUPTED, -signal.SIGTERM, -signal.SIGINT})


class Forwarding:
    """Hands on to the children that are added what this process is told."""

    def __init__(self, *, is_talking: bool) -> None:
        """Start without children.

        Args:
            is_talking: say what becomes of them, at the first two signals also where they say it themselves.
        """
        self._is_talking = is_talking
        self.stopping = anyio.Event()
        self.count = 0
        self._children: set[Child] = set()

    @property
    def is_stopping(self) -> bool:
        """Whether no process is to be started any more."""
        return self.stopping.is_set()

    def add(self, child: Child) -> Callable[[], None]:
        """Hand signals on to this child; return what ends that."""
        self._children.add(child)
        return lambda: self._children.discard(child)

    def exit_code(self, codes: Iterable[int]) -> int:
        """Return the exit code of this process, from those of the children that have ended since it was stopped."""
        if self.count > 1:
            return ExitCode.INTERRUPTED
        return next((code if code > 0 else ExitCode.FAILED for code in codes if code not in _ENDS), ExitCode.OK)

    def stop(self) -> None:
        """Let the running jobs of all children end."""
        self.stopping.set()
        self._send(signal.SIGTERM)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Listen until cancelled; started once signals are caught."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) as signals:
            task_status.started()
            async for received in signals:
                self._take(signal.Signals(received))

    def _take(self, received: signal.Signals) -> None:
        if received == signal.SIGUSR1:
            self._send(received)
            return
        self.count += 1
        if self.count == 1:
            self._say(f"{received.name}: stopping {_processes(len(self._children))}; signal again to hand jobs back")
            self.stopping.set()
            self._send(received)
        elif self.count == 2:
            self._say(f"{received.name} again: cancelling; once more kills")
            self._send(received)
        else:
            say(f"{received.name} once more: killing; what was running will be reclaimed as stalled")
            self._send(signal.SIGKILL)

    def _say(self, text: str) -> None:
        if self._is_talking:
            say(text)

    def _send(self, number: signal.Signals) -> None:
        for child in tuple(self._children):
            child.send(number)


def _processes(count: int) -> str:
    return "1 worker process" if count == 1 else f"{count} worker processes"
