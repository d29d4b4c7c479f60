"""The countdown: says on stderr what a stopping worker waits for, and for how long."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._runtime.worker import Worker

__all__ = ["Countdown"]

_TICK_SECONDS: Final = 1.0


class Countdown:
    """An `Onlooker` that speaks with a person: once a second in place on a terminal, elsewhere at start and end."""

    def __init__(self, announcement: Callable[[], str], summary: Callable[[], str]) -> None:
        """Watch nothing yet.

        Args:
            announcement: what to say when the worker runs.
            summary: what to say when it has ended by itself.
        """
        self.worker: Worker | None = None
        self._announcement = announcement
        self._summary = summary
        # Asked once: while it counts, rich stands in for stderr, and before release 15 denied being a terminal.
        self._is_terminal = sys.stderr.isatty()
        self._is_stopping = False
        self._is_cancelling = False

    def started(self, worker: Worker) -> None:
        """Announce the worker."""
        self.worker = worker
        say(self._announcement())

    async def stopping(self, signal_name: str) -> None:
        """Count down."""
        self._is_stopping = True
        if not self._is_terminal:
            say(f"{signal_name}: {self._line()}")
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(stderr=True)
        # Cleared at the end: what became of it all is said then.
        with Live(console=console, auto_refresh=False, transient=True) as live:
            console.show_cursor()  # a third signal leaves no time to bring it back
            while True:
                live.update(Text(self._line()), refresh=True)
                await anyio.sleep(_TICK_SECONDS)

    def cancelling(self, signal_name: str) -> None:
        """Say what becomes of what still runs."""
        self._is_cancelling = True
        say(f"{signal_name} again: {self._line()}")

    def ended(self, *, was_cancelled: bool) -> None:
        """Say what became of the jobs that ran."""
        worker = self.worker
        if worker is None:
            say("stopped before the worker had started")
        elif not worker.has_left_in_order:
            say("stopped, but the last writes failed: what was running will be reclaimed as stalled")
        elif worker.handed_back_count:
            reason = "cancelled" if was_cancelled else "stopped: the grace is over"
            say(f"{reason}; {_jobs(worker.handed_back_count)} handed back")
        elif not self._is_stopping:
            say(f"done: {self._summary()}")
        else:
            say("cancelled; nothing was running any more" if was_cancelled else "stopped: every running job has ended")

    def _line(self) -> str:
        worker = self.worker
        if worker is None:
            return "stopping"
        if self._is_cancelling:
            return f"cancelling: handing {_jobs(worker.running_count)} back; once more exits at once"
        if not worker.running_count:
            return "stopping: no job is running"
        again = "press Ctrl-C again" if self._is_terminal else "signal again"
        left = f"{worker.grace_seconds_left:.0f} s left"
        return f"stopping: {_jobs(worker.running_count)} running, {left}; {again} to hand {_them(worker)} back"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _them(worker: Worker) -> str:
    return "it" if worker.running_count == 1 else "them"
