"""Time within a run: it waits, and still stops soon after it is asked to; it does not try for ever."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

if TYPE_CHECKING:
    from conveyor.contracts.batch_job import BatchRun

__all__ = ["Patience", "Watch"]

logger: Final = logging.getLogger("conveyor.batches")

# How often in a row something is tried again that failed through no row's fault; the waits before.
MOST_TRIES: Final = 8
FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 10.0
# Where a run waits, it looks so often whether it is to stop.
LOOK_SECONDS: Final = 1.0


@define
class Patience:
    """How much of it a run has left."""

    run: BatchRun
    _tries: int = field(init=False, default=0)
    _seconds: float = field(init=False, default=FIRST_WAIT_SECONDS)

    async def wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            BatchStoppedError: the run is to stop.
        """
        ends_at = anyio.current_time() + seconds
        while (left := ends_at - anyio.current_time()) > 0:
            await anyio.sleep(min(left, LOOK_SECONDS))
            await self.run.check_stopped()

    async def forgive(self, error: Exception) -> None:
        """Wait before something that failed is tried again; raise what it failed with where it failed too often."""
        self._tries += 1
        if self._tries > MOST_TRIES:
            raise error
        logger.warning("batch job %s tries again what failed: %s", self.run.batch_job.id, error)
        await self.wait(self._seconds)
        self._seconds = min(2 * self._seconds, LONGEST_WAIT_SECONDS)

    def renew(self) -> None:
        """Begin anew: something worked."""
        self._tries, self._seconds = 0, FIRST_WAIT_SECONDS


@define
class Watch:
    """Tells when a time is over to those who handle one row after another.

    A look at the clock takes as long as reading a row of a fast source: so it looks about eight times in all.

    Attributes:
        look_at: with fewer rows than this it is not over; nobody need ask.
    """

    seconds: float
    look_at: int = field(init=False, default=1)
    _began_at: float = field(init=False, factory=anyio.current_time)

    def is_over(self, rows: int) -> bool:
        """Whether the time is over, now that so many rows are through."""
        if rows < self.look_at:
            return False
        passed = anyio.current_time() - self._began_at
        if passed >= self.seconds:
            return True
        # As many rows as take an eighth of the time, if they go on as they did; at most as many as there were so far.
        step = rows if passed <= 0 else int(rows * self.seconds / (8 * passed))
        self.look_at = rows + max(1, min(rows, step))
        return False
