"""Maintenance of a worker's queues: three loops, each calling its passes.

Promotion sleeps until the next delayed job is due and is woken when a job is put off; stall detection
looks at an interval, and expiry at every fifth time; retention at another. Where the store cannot be reached, all
just look again later: nothing is lost by being late.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor._services.maintenance.batches import end_stranded, remove_old
from conveyor._services.maintenance.expire import expire_jobs
from conveyor._services.maintenance.files import remove_expired_files
from conveyor._services.maintenance.promote import promote_due_jobs
from conveyor._services.maintenance.prune import prune_events
from conveyor._services.maintenance.reclaim import reclaim_stalled_jobs
from conveyor._services.maintenance.repair import repair_flows
from conveyor._services.maintenance.retain import remove_outdated_jobs
from conveyor._services.maintenance.roll_up import roll_up_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor._runtime.transient import Outage
    from conveyor._services.services import Services
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.store import Store
    from conveyor.model.retention import Retention
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Promoter", "Retainer", "StallDetector"]

# The wall clock may be set, the event loop's clock is not; waking early costs one query more.
LONGEST_SLEEP_SECONDS: Final = 60.0
# What had not started in time is not fetched anyway, and what a dead worker held is looked after at once.
LOOKS_PER_EXPIRY: Final = 5
# It goes through all that waits for children, and finds something only where somebody meddled with the store's tables.
LOOKS_PER_REPAIR: Final = 60


class Promoter:
    """Makes delayed jobs wait when their time comes."""

    def __init__(
        self,
        store: Store,
        queue_names: Callable[[], Sequence[str]],
        clock: Clock,
        options: WorkerOptions,
        *,
        outage: Outage,
    ) -> None:
        """Bind to a store and the queues this worker serves."""
        self._store = store
        # The hint that a job was put off may have been lost, so it sleeps no longer than an idle fetcher.
        self._longest_sleep_seconds = min(options.poll_interval.total_seconds(), LONGEST_SLEEP_SECONDS)
        self._queue_names = queue_names
        self._clock = clock
        self._outage = outage
        self._wakeup = Wakeup()

    def look_again(self) -> None:
        """A job was put off, maybe until sooner than the next one known."""
        self._wakeup.set()

    async def run(self) -> None:
        """Promote for ever."""
        while True:
            await self._wakeup.wait(await self._promote())

    async def _promote(self) -> float:
        due_at = await until_available(
            lambda: promote_due_jobs(self._store, self._queue_names()), "promote delayed jobs", self._outage
        )
        return self._seconds_until(due_at)

    def _seconds_until(self, due_at: datetime | None) -> float:
        if due_at is None:
            return self._longest_sleep_seconds
        seconds = (due_at - self._clock.now()).total_seconds()
        return min(max(seconds, 0.0), self._longest_sleep_seconds)


class StallDetector:
    """Finds the jobs of workers that died, and those that had not started in time."""

    def __init__(self, store: Store, services: Services, options: WorkerOptions, *, outage: Outage) -> None:
        """Bind to a store, and to the app whose strategies are told of batch jobs that fail."""
        self._services = services
        self._outage = outage
        self._store = store
        self._options = options

    async def run(self) -> None:
        """Look for ever, at the worker's interval, spread so that many workers do not look at once."""
        for number in count():
            is_whole = number % LOOKS_PER_EXPIRY == 0
            await until_available(partial(self._look, is_whole), "look for stalled and expired jobs", self._outage)
            await _sleep_about(self._options.stalled_interval)

    async def _look(self, is_whole: bool) -> None:
        reclaimed = await reclaim_stalled_jobs(self._store, self._options.max_stalled)
        if not (reclaimed or is_whole):
            return
        # After it: a job that a dead worker held may have expired meanwhile.
        await expire_jobs(self._store)
        # After both: what a batch job waited for may have ended by them.
        await end_stranded(self._services, self._store)


class Retainer:
    """Removes the settled jobs of a worker's queues that are to be kept no longer; looks after metrics and events.

    Old metrics are added up, old events forgotten, expired files deleted. More seldom still it repairs flows.
    """

    def __init__(
        self,
        store: Store,
        queue_names: Sequence[str],
        retention: Retention,
        options: WorkerOptions,
        *,
        services: Services,
        outage: Outage,
    ) -> None:
        """Bind to a store, the queues this worker serves, and the app whose files expire."""
        self._store = store
        self._services = services
        self._queue_names = queue_names
        self._retention = retention
        self._outage = outage
        self._options = options

    async def run(self) -> None:
        """Look for ever, at the worker's interval, spread so that many workers do not look at once."""
        for number in count():
            await until_available(
                lambda: remove_outdated_jobs(self._store, self._queue_names, self._retention),
                "remove outdated jobs",
                self._outage,
            )
            await until_available(
                lambda: remove_old(self._services, self._store, self._retention), "remove old batch jobs", self._outage
            )
            await until_available(lambda: roll_up_metrics(self._store, self._retention), "add metrics up", self._outage)
            await until_available(lambda: prune_events(self._store), "forget old events", self._outage)
            await remove_expired_files(self._services)
            if number % LOOKS_PER_REPAIR == 0:
                await until_available(lambda: repair_flows(self._store), "repair flows", self._outage)
            await _sleep_about(self._options.retention_interval)


async def _sleep_about(interval: timedelta) -> None:
    await anyio.sleep(interval.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, no secret
