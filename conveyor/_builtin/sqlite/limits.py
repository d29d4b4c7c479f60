"""The limits facet of the SQLite store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.guards import count_waiting_of_group, guard_queue
from conveyor._builtin.sqlite.ledger import SqliteLedger
from conveyor._builtin.sqlite.rows import from_micros, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_limits, encode_limits
from conveyor.model.events import NotificationKind
from conveyor.model.limits import NO_LIMITS, LimitScope, LimitUsage, completed, forgotten
from conveyor.model.usages import usages

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.contracts.clock import Clock
    from conveyor.model.limits import QueueLimits, RateLimit

__all__ = ["SqliteLimits"]


class SqliteLimits:
    """Limits and groups of queues. See `conveyor.contracts.store.limits`."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock) -> None:
        self._write = writer.run
        self._read = readers.run
        self._clock = clock

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        """Let these limits hold, and no others."""
        await self._write(_set_limits, queue_name, limits)

    async def declare_limits(self, queue_name: str, limits: QueueLimits, /) -> QueueLimits:
        """Set those limits that the queue has none for, and return what holds."""
        return await self._write(_declare_limits, queue_name, limits)

    async def get_limits(self, queue_name: str, /) -> QueueLimits:
        """Return what holds."""
        return await self._read(_get_limits, queue_name)

    async def get_limit_usages(self, queue_name: str, /, *, max_groups: int = 100) -> Sequence[LimitUsage]:
        """Return how far each limit is used."""
        # Windows forget what they have left behind when they are counted, so this is no work for a reader.
        return await self._write(_get_limit_usages, queue_name, max_groups)

    async def get_guarded_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return those of the queues that have limits, or had groups."""
        return await self._read(_guarded_queues, queue_names)

    async def get_next_room_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when a rate of these queues next has room for a job that waits."""
        return await self._read(_next_room_timestamp, queue_names, to_micros(self._clock.now()))

    async def get_group_active_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group run."""
        return await self._read(_count_active_of_group, queue_name, group_id)

    async def get_waiting_group_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group wait."""
        return await self._read(count_waiting_of_group, queue_name, group_id)


def _count_active_of_group(connection: sqlite3.Connection, queue_name: str, group_id: str) -> int:
    (count,) = connection.execute(sql("limits/get_group_active_count"), (queue_name, group_id)).fetchone()
    return int(count)


def _get_limits(connection: sqlite3.Connection, queue_name: str) -> QueueLimits:
    row = connection.execute(sql("limits/get_limits"), (queue_name,)).fetchone()
    return NO_LIMITS if row is None else decode_limits(row[0])


def _set_limits(transaction: Transaction, queue_name: str, limits: QueueLimits) -> None:
    connection = transaction.connection
    transaction.make_queue(queue_name)
    guard_queue(transaction, queue_name)
    _forget_rates(connection, queue_name, _get_limits(connection, queue_name), limits)
    connection.execute(sql("limits/set_limits"), (queue_name, encode_limits(limits)))
    connection.execute(sql("limits/set_limits_active"), (queue_name,))
    connection.execute(sql("limits/set_limits_groups"), (queue_name,))
    transaction.hint(NotificationKind.CHANGED, queue_name)


def _declare_limits(transaction: Transaction, queue_name: str, limits: QueueLimits) -> QueueLimits:
    held = _get_limits(transaction.connection, queue_name)
    whole = completed(held, limits)
    if whole != held:
        _set_limits(transaction, queue_name, whole)
    return whole


def _forget_rates(connection: sqlite3.Connection, queue_name: str, old: QueueLimits, new: QueueLimits) -> None:
    """Forget what was counted for rates that are gone, or that count otherwise."""
    for scope, key in connection.execute(sql("limits/set_limits_rates"), (queue_name,)).fetchall():
        if forgotten(old, new, LimitScope(scope), key):
            connection.execute(sql("limits/set_limits_rate"), (queue_name, scope, key))
            connection.execute(sql("limits/set_limits_starts"), (queue_name, scope, key))


def _guarded_queues(connection: sqlite3.Connection, queue_names: Sequence[str]) -> Sequence[str]:
    chosen = (json.dumps(list(queue_names)),)
    found = {name for (name,) in connection.execute(sql("limits/get_guarded_queues"), chosen)}
    return tuple(name for name in queue_names if name in found)


def _next_room_timestamp(connection: sqlite3.Connection, queue_names: Sequence[str], now: int) -> datetime | None:
    chosen = (json.dumps(list(queue_names)), now)
    (free_at,) = connection.execute(sql("limits/get_next_room_timestamp"), chosen).fetchone()
    return None if free_at is None else from_micros(free_at)


def _get_limit_usages(transaction: Transaction, queue_name: str, max_groups: int) -> Sequence[LimitUsage]:
    limits = _get_limits(transaction.connection, queue_name)
    return tuple(usages(limits, _Counts(transaction.connection, queue_name, transaction.now), max_groups))


class _Counts:
    """What is to be told of one queue."""

    def __init__(self, connection: sqlite3.Connection, queue_name: str, now: int) -> None:
        self._connection = connection
        self._queue_name = queue_name
        self._now = now
        self._ledger = SqliteLedger(connection, queue_name, now)

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run."""
        return self._ledger.count_active(scope, key)

    def count_waiting(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs wait."""
        if scope is LimitScope.GROUP and key:
            return count_waiting_of_group(self._connection, self._queue_name, key)
        if scope is LimitScope.GROUP:
            return self._count("limits/get_limit_usages_ungrouped")
        return self._count("limits/get_limit_usages_waiting", key if scope is LimitScope.NAME else None)

    def rate_use(self, limiter: RateLimit, scope: LimitScope, key: str, /) -> tuple[int, datetime | None]:
        """Return how much of a rate is used, and when it has room again."""
        used, room_at = self._ledger.use(limiter, scope, key)
        self._ledger.close()
        return used, from_micros(room_at) if room_at > self._now else None

    def rate_keys(self, scope: LimitScope, /) -> Sequence[str]:
        """Return under which keys rates were used."""
        rows = self._connection.execute(sql("limits/set_limits_rates"), (self._queue_name,))
        return sorted(key for kept_as, key in rows if kept_as == scope.value)

    def groups(self) -> Sequence[str]:
        """Return the groups of which jobs wait or run."""
        rows = self._connection.execute(sql("limits/get_limit_usages_groups"), (self._queue_name,))
        return [group_id for (group_id,) in rows]

    def _count(self, statement: str, *chosen: object) -> int:
        (count,) = self._connection.execute(sql(statement), (self._queue_name, *chosen)).fetchone()
        return int(count)
