"""Onlookers: who is told how a worker that runs until it is signalled comes up and goes down."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from conveyor._runtime.worker import Worker

__all__ = ["LoggingOnlooker", "Onlooker"]

logger: Final = logging.getLogger("conveyor.worker")


class Onlooker(Protocol):
    """Watches one worker; each method is called at most once, in this order."""

    def started(self, worker: Worker) -> None:
        """The worker runs."""
        ...

    async def stopping(self, signal_name: str) -> None:
        """The worker was asked to stop. Runs until it has, and is cancelled then."""
        ...

    def cancelling(self, signal_name: str) -> None:
        """What still runs is being cancelled."""
        ...

    def ended(self, *, was_cancelled: bool) -> None:
        """The worker has stopped and the app is closed."""
        ...


class LoggingOnlooker:
    """Writes to the log."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._worker: Worker | None = None

    def started(self, worker: Worker) -> None:
        """Remember the worker."""
        self._worker = worker

    async def stopping(self, signal_name: str) -> None:
        """Say what a second signal does."""
        count = 0 if self._worker is None else self._worker.running_count
        logger.info("%s: stopping; %d jobs run and may end. Once more cancels them", signal_name, count)

    def cancelling(self, signal_name: str) -> None:
        """Say what a third signal does."""
        logger.warning("%s again: cancelling; running jobs are handed back. Once more exits at once", signal_name)

    def ended(self, *, was_cancelled: bool) -> None:
        """Say how many jobs did not come to their end."""
        count = 0 if self._worker is None else self._worker.handed_back_count
        if was_cancelled or count:
            logger.warning("%d running jobs were handed back", count)
