"""The limit watcher: knows which of a worker's queues have limits or groups, and wakes the fetcher when there is room.

A queue with limits has room again when a run ends, which its hints tell, or when a time comes, which the store tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor.model.limits import NO_LIMITS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._runtime.fetcher import Fetcher
    from conveyor._runtime.guarded import GuardedQueues
    from conveyor._runtime.transient import Outage
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.store import LimitStore
    from conveyor.model.limits import QueueLimits
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["LimitWatcher"]

# Room that comes within so long is waited for, whatever else may have become free.
_SOON_SECONDS: Final = 0.1


class LimitWatcher:
    """Looks when limits change, when jobs have come, and when a fetch from a queue with limits brought too little."""

    def __init__(
        self,
        limits: LimitStore | None,
        fetcher: Fetcher,
        guarded: GuardedQueues,
        clock: Clock,
        options: WorkerOptions,
        *,
        outage: Outage,
    ) -> None:
        """Bind to a fetcher, and to what it knows of its queues."""
        self._limits = limits
        self._fetcher = fetcher
        self._guarded = guarded
        self._clock = clock
        self._outage = outage
        # Hints may be lost, so it sleeps no longer than an idle fetcher does.
        self._longest_sleep_seconds = options.poll_interval.total_seconds()
        self._wakeup = Wakeup()
        self._is_outdated = True
        self._is_dry = False
        self._rates = 0
        # Whether room may have come unseen between a fetch that brought too little and the question after it.
        self._may_have_missed = False
        guarded.on_dry = self._note_dry

    def look_again(self) -> None:
        """Limits may have changed, or queues been added."""
        self._is_outdated = True
        self._wakeup.set()

    async def run(self) -> None:
        """Watch for ever; where the store has no limits, there is nothing to watch."""
        limits = self._limits
        if limits is None:
            return
        while True:
            # That a hint was lost matters once jobs come; an idle worker asks nothing.
            if self._is_outdated or self._guarded.has_news:
                self._is_outdated = self._guarded.has_news = False
                self._may_have_missed = True
                await self.learn(self._fetcher.queue_names)
            is_dry, self._is_dry = self._is_dry, False
            room_at = await self._next_room_at(limits)
            if is_dry and self._may_have_missed and self._may_hide_room(room_at):
                # The store tells of times to come only. One fetch more finds what became free before it was asked; if
                # that brings nothing either, nothing that waits for a rate may start.
                self._may_have_missed = False
                self._notice_room()
            elif room_at is not None:
                self._may_have_missed = True
            if not await self._wakeup.wait(self._seconds_until(room_at)) and room_at is not None:
                self._may_have_missed = True
                self._notice_room()
                # Whoever has a free slot fetches now, and whoever has none, later; that it was too little wakes this.
                # To ask again before that would bring the same answer, at once.
                await self._wakeup.wait(self._longest_sleep_seconds)

    def _note_dry(self) -> None:
        self._is_dry = True
        self._wakeup.set()

    def _notice_room(self) -> None:
        for queue_name in sorted(self._guarded.names):
            self._fetcher.notice_work(queue_name)

    async def learn(self, queue_names: Sequence[str]) -> None:
        """Learn which of these queues have limits or groups."""
        limits = self._limits
        if limits is not None and queue_names:
            await until_available(lambda: self._learn(limits, queue_names), "look for limits", self._outage)

    async def _learn(self, limits: LimitStore, queue_names: Sequence[str]) -> None:
        guarded = await limits.get_guarded_queues(queue_names)
        found = {name: await limits.get_limits(name) for name in sorted(guarded)}
        self._guarded.learn(guarded, [name for name, those in found.items() if those != NO_LIMITS])
        self._rates = sum(_count_rates(those) for those in found.values())

    async def _next_room_at(self, limits: LimitStore) -> datetime | None:
        names: Sequence[str] = tuple(sorted(self._guarded.limited))
        if not names:
            return None
        return await until_available(
            lambda: limits.get_next_room_timestamp(names), "look when limits have room", self._outage
        )

    def _may_hide_room(self, room_at: datetime | None) -> bool:
        """Whether a rate may have room by now, although the next time to come is this one."""
        if room_at is None:
            return self._rates > 0
        # Of several rates it may be that of another. Where that comes soon, all are looked at then.
        return self._rates > 1 and self._seconds_until(room_at) > _SOON_SECONDS

    def _seconds_until(self, room_at: datetime | None) -> float:
        if room_at is None:
            return self._longest_sleep_seconds
        seconds = (room_at - self._clock.now()).total_seconds()
        return min(max(seconds, 0.0), self._longest_sleep_seconds)


def _count_rates(limits: QueueLimits) -> int:
    """Return how many rates these limits are; where each key has one of its own, two stand for all."""
    is_keyed = limits.limiter is not None and limits.limiter.key is not None
    if is_keyed or (limits.group is not None and limits.group.limiter is not None):
        return 2
    return sum(limiter is not None for limiter in (limits.limiter, *(one.limiter for one in limits.names.values())))
