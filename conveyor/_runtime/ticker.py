"""The ticker: sleeps until the next schedule is due, fires it, and sleeps again.

Every worker has one, and all of them wake at the same tick: the store lets one fire it. It is woken when a schedule
is made, changed or resumed. Where nobody can tell it of that, and for hints that are lost, it looks once in a while.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor._services.maintenance.fire import fire_due_schedules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from conveyor._runtime.transient import Outage
    from conveyor.contracts.store import Store
    from conveyor.model.schedules.values import ScheduleData
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Ticker"]

logger: Final = logging.getLogger("conveyor.schedules")

# The store's clock may be set, the event loop's is not; waking early costs one query more.
LONGEST_SLEEP_SECONDS: Final = 60.0


class Ticker:
    """Fires what is due, of whichever queue: the jobs are for whoever serves that."""

    def __init__(
        self,
        store: Store,
        options: WorkerOptions,
        find_undeclared: Callable[[], Awaitable[Sequence[ScheduleData]]],
        *,
        outage: Outage,
    ) -> None:
        """Bind to a store; `find_undeclared` returns the schedules that are declared no more."""
        self._schedules = store.schedules
        self._longest_sleep_seconds = LONGEST_SLEEP_SECONDS
        if store.notifier is None:
            self._longest_sleep_seconds = min(options.poll_interval.total_seconds(), LONGEST_SLEEP_SECONDS)
        self._find_undeclared = find_undeclared
        self._outage = outage
        self._wakeup = Wakeup()

    def look_again(self) -> None:
        """A schedule was made or changed, maybe to fire sooner than the next one known."""
        self._wakeup.set()

    async def run(self) -> None:
        """Fire for ever; return at once where the store has no schedules."""
        schedules = self._schedules
        if schedules is None:
            return
        await self._tell_undeclared()
        while True:
            wait = await until_available(lambda: fire_due_schedules(schedules), "fire schedules", self._outage)
            await self._wakeup.wait(self._seconds(wait))

    def _seconds(self, wait: timedelta | None) -> float:
        if wait is None:
            return self._longest_sleep_seconds
        return min(wait.total_seconds(), self._longest_sleep_seconds)

    async def _tell_undeclared(self) -> None:
        for schedule in await until_available(self._find_undeclared, "look for schedules", self._outage):
            logger.warning(
                "schedule %s adds %s to queue %s, and this program, which serves the queue, does not declare it; "
                "if it is wanted no more: conveyor schedules remove %s",
                schedule.id,
                schedule.spec.name,
                schedule.spec.queue_name,
                schedule.id,
            )
