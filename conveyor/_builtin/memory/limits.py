"""The limits facet of the memory store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory.limiting import count_waiting_of_group, guard_queue
from conveyor._builtin.memory.records import microseconds
from conveyor.model.events import NotificationKind
from conveyor.model.limits import NO_LIMITS, LimitScope, LimitUsage, completed, forgotten
from conveyor.model.states import JobState
from conveyor.model.usages import usages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.memory.guards import Guard
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.limits import QueueLimits, RateLimit

__all__ = ["MemoryLimits"]

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class MemoryLimits:
    """Limits and groups of queues. See `conveyor.contracts.store.limits`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        """Let these limits hold, and no others."""
        guard = guard_queue(self._tables, queue_name)
        for scope, key in list(guard.rates):
            if forgotten(guard.limits, limits, scope, key):
                del guard.rates[scope, key]
        guard.limits = limits
        guard.unpark_all()
        self._tables.notifier.tell(NotificationKind.CHANGED, (queue_name,))

    async def declare_limits(self, queue_name: str, limits: QueueLimits, /) -> QueueLimits:
        """Set those limits that the queue has none for, and return what holds."""
        held = await self.get_limits(queue_name)
        whole = completed(held, limits)
        if whole != held:
            await self.set_limits(queue_name, whole)
        return whole

    async def get_limits(self, queue_name: str, /) -> QueueLimits:
        """Return what holds."""
        guard = self._guard(queue_name)
        return NO_LIMITS if guard is None else guard.limits

    async def get_limit_usages(self, queue_name: str, /, *, max_groups: int = 100) -> Sequence[LimitUsage]:
        """Return how far each limit is used."""
        queue = self._tables.queues.get(queue_name)
        if queue is None or queue.guard is None:
            return ()
        return tuple(usages(queue.guard.limits, _Counts(queue, queue.guard, self._tables.now()), max_groups))

    async def get_guarded_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return those of the queues that have limits, or had groups."""
        return tuple(queue.name for queue in self._tables.existing(queue_names) if queue.guard is not None)

    async def get_next_room_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when a rate of these queues next has room for a job that waits."""
        now = microseconds(self._tables.now())
        guards = [queue.guard for queue in self._tables.existing(queue_names) if queue.guard is not None]
        free_at = min((at for guard in guards if (at := guard.next_free_at(now)) is not None), default=None)
        return None if free_at is None else _moment(free_at)

    async def get_group_active_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group run."""
        guard = self._guard(queue_name)
        return 0 if guard is None else guard.active[LimitScope.GROUP, group_id]

    async def get_waiting_group_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group wait."""
        queue = self._tables.queues.get(queue_name)
        return 0 if queue is None else count_waiting_of_group(queue, group_id)

    def _guard(self, queue_name: str) -> Guard | None:
        queue = self._tables.queues.get(queue_name)
        return None if queue is None else queue.guard


class _Counts:
    """What is to be told of one queue."""

    def __init__(self, queue: QueueTable, guard: Guard, now: datetime) -> None:
        self._queue = queue
        self._guard = guard
        self._now = microseconds(now)

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run."""
        return self._guard.active[scope, key]

    def count_waiting(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs wait."""
        waiting = self._queue.by_state[JobState.WAITING]
        if scope is LimitScope.QUEUE:
            return len(waiting)
        if scope is LimitScope.NAME:
            return sum(record.name == key for record in waiting.values())
        return count_waiting_of_group(self._queue, key)

    def rate_use(self, limiter: RateLimit, scope: LimitScope, key: str, /) -> tuple[int, datetime | None]:
        """Return how much of a rate is used, and when it has room again."""
        rate = self._guard.rates.get((scope, key))
        if rate is None:
            return 0, None
        used, room_at = rate.use(limiter, self._now), rate.room_at(limiter, 1, self._now)
        return used, _moment(room_at) if room_at > self._now else None

    def rate_keys(self, scope: LimitScope, /) -> Sequence[str]:
        """Return under which keys rates were used."""
        return sorted(key for kept_as, key in self._guard.rates if kept_as is scope)

    def groups(self) -> Sequence[str]:
        """Return the groups of which jobs wait or run."""
        records = (
            record for state in (JobState.WAITING, JobState.ACTIVE) for record in self._queue.by_state[state].values()
        )
        return sorted({record.options.group.id for record in records if record.options.group is not None})


def _moment(micros: int) -> datetime:
    return _BEGINNING + timedelta(microseconds=micros)
