"""The limits facet of the PostgreSQL store."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from conveyor.codec import decode_limits, encode_limits
from conveyor.model.events import NotificationKind
from conveyor.model.limits import NO_LIMITS, LimitScope, LimitUsage, completed, forgotten
from conveyor.model.rates import bucket_level, bucket_room_at, bucket_use, window_room_at
from conveyor.model.usages import usages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.limits import QueueLimits, RateLimit
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["PostgresLimits"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class PostgresLimits:
    """Limits and groups of queues. See `conveyor.contracts.store.limits`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        """Let these limits hold, and no others."""
        await self._prepare(queue_name)
        await self._database.write(_set_limits, queue_name, limits)

    async def declare_limits(self, queue_name: str, limits: QueueLimits, /) -> QueueLimits:
        """Set those limits that the queue has none for, and return what holds."""
        held = await self.get_limits(queue_name)
        if completed(held, limits) == held:
            return held
        await self._prepare(queue_name)
        return await self._database.write(_declare_limits, queue_name, limits)

    async def get_limits(self, queue_name: str, /) -> QueueLimits:
        """Return what holds."""
        return await self._database.read(_get_limits, queue_name)

    async def get_limit_usages(self, queue_name: str, /, *, max_groups: int = 100) -> Sequence[LimitUsage]:
        """Return how far each limit is used."""
        return await self._database.read(_get_limit_usages, queue_name, max_groups)

    async def get_guarded_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return those of the queues that have limits, or had groups."""
        return await self._database.read(_get_guarded_queues, queue_names)

    async def get_next_room_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when a rate of these queues next has room for a job that waits."""
        return await self._database.read(_get_next_room_timestamp, queue_names)

    async def get_group_active_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group run."""
        return await self._database.read(_count, "limits/get_group_active_count", queue_name, group_id)

    async def get_waiting_group_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group wait."""
        return await self._database.read(_count, "limits/get_waiting_group_count", queue_name, group_id)

    async def _prepare(self, queue_name: str) -> None:
        """Let all that runs in a queue be counted, each step for itself: whoever is late does the rest again."""
        await self._database.write(_guard, queue_name)
        # From here on, whoever begins to fetch sees that the queue has limits, and counts what it locks.
        await self._database.write_one(_wait_for_fetches)
        await self._database.write_one(_count_active, queue_name)


async def _guard(part: Part, queue_name: str) -> None:
    await part.execute("queues/make_queue", queue_name)
    if await part.execute("limits/set_limits_guard", queue_name):
        part.hint(NotificationKind.CHANGED, queue_name)


async def _wait_for_fetches(part: Part) -> None:
    await part.fetchval("limits/set_limits_fetches")


async def _count_active(part: Part, queue_name: str) -> None:
    await part.execute("limits/set_limits_active", queue_name)


async def _set_limits(part: Part, queue_name: str, limits: QueueLimits) -> None:
    await _replace(part, queue_name, _read(await part.fetchval("limits/set_limits_held", queue_name)), limits)


async def _declare_limits(part: Part, queue_name: str, limits: QueueLimits) -> QueueLimits:
    held = _read(await part.fetchval("limits/set_limits_held", queue_name))
    whole = completed(held, limits)
    if whole != held:
        await _replace(part, queue_name, held, whole)
    return whole


async def _replace(part: Part, queue_name: str, old: QueueLimits, new: QueueLimits) -> None:
    for scope, key, *_ in await part.fetch("limits/get_limit_usages_rates", queue_name):
        if forgotten(old, new, LimitScope(scope), key):
            await part.execute("limits/set_limits_rate", queue_name, scope, key)
            await part.execute("limits/set_limits_starts", queue_name, scope, key)
    await part.execute("limits/set_limits", queue_name, encode_limits(new).decode())
    await part.execute("limits/set_limits_groups", queue_name)
    part.hint(NotificationKind.CHANGED, queue_name)


def _read(limits: str | None) -> QueueLimits:
    return NO_LIMITS if limits is None else decode_limits(limits.encode())


async def _get_limits(part: Part, queue_name: str) -> QueueLimits:
    return _read(await part.fetchval("limits/get_limits", queue_name))


async def _get_guarded_queues(part: Part, queue_names: Sequence[str]) -> Sequence[str]:
    found = {name for (name,) in await part.fetch("limits/get_guarded_queues", list(queue_names))}
    return tuple(name for name in queue_names if name in found)


async def _get_next_room_timestamp(part: Part, queue_names: Sequence[str]) -> datetime | None:
    free_at: int | None = await part.fetchval("limits/get_next_room_timestamp", list(queue_names), part.moment)
    return None if free_at is None else _moment(free_at)


async def _count(part: Part, statement: str, queue_name: str, group_id: str) -> int:
    count: int = await part.fetchval(statement, queue_name, group_id)
    return count


async def _get_limit_usages(part: Part, queue_name: str, max_groups: int) -> Sequence[LimitUsage]:
    limits = await _get_limits(part, queue_name)
    if limits == NO_LIMITS:
        return ()
    counts = _Counts(
        (await part.now() - _EPOCH) // _MICROSECOND,
        active=await part.fetch("limits/get_limit_usages", queue_name, "active"),
        waiting=await part.fetch("limits/get_limit_usages", queue_name, "waiting"),
        rates=await part.fetch("limits/get_limit_usages_rates", queue_name),
        starts=await part.fetch("limits/get_limit_usages_starts", queue_name),
    )
    return tuple(usages(limits, counts, max_groups))


class _Counts:
    """What is to be told of one queue."""

    def __init__(self, now: int, *, active: list[Row], waiting: list[Row], rates: list[Row], starts: list[Row]) -> None:
        self._now = now
        self._active = _counted(active)
        self._waiting = _counted(waiting)
        self._rates = {(scope, key): (level, at) for scope, key, level, at in rates}
        self._starts: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for scope, key, at, weight in starts:
            self._starts.setdefault((scope, key), []).append((at, weight))

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run."""
        return self._active[scope, key]

    def count_waiting(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs wait."""
        return self._waiting[scope, key]

    def rate_use(self, limiter: RateLimit, scope: LimitScope, key: str, /) -> tuple[int, datetime | None]:
        """Return how much of a rate is used, and when it has room again."""
        level, at = self._rates.get((scope.value, key), (0, self._now))
        if limiter.burst is not None:
            level = bucket_level(level, at, limiter, self._now)
            used, room_at = bucket_use(level, limiter), bucket_room_at(level, limiter, 1, self._now)
        else:
            starts = [
                start for start in self._starts.get((scope.value, key), ()) if start[0] + limiter.per_micros > self._now
            ]
            used = sum(weight for _, weight in starts)
            room_at = window_room_at(starts, used, limiter, 1, self._now)
        return used, _moment(room_at) if room_at > self._now else None

    def rate_keys(self, scope: LimitScope, /) -> Sequence[str]:
        """Return under which keys rates were used."""
        return sorted(key for kept_as, key in self._rates if kept_as == scope.value)

    def groups(self) -> Sequence[str]:
        """Return the groups of which jobs wait or run."""
        return sorted({key for scope, key in {**self._active, **self._waiting} if scope is LimitScope.GROUP and key})


def _counted(rows: list[Row]) -> Counter[tuple[LimitScope, str]]:
    """Return how many jobs there are of the queue, of each name and of each group."""
    counts: Counter[tuple[LimitScope, str]] = Counter()
    for name, group_id, count in rows:
        counts[LimitScope.QUEUE, ""] += count
        counts[LimitScope.NAME, name] += count
        counts[LimitScope.GROUP, group_id] += count
    return counts


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
