"""What runs in a queue of the SQLite store, and what started there under its rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import define

from conveyor._builtin.sqlite.statements import sql
from conveyor.model.limits import LimitScope
from conveyor.model.rates import bucket_level, bucket_room_at, bucket_use, window_room_at

if TYPE_CHECKING:
    import sqlite3

    from conveyor.model.limits import RateLimit

__all__ = ["SqliteLedger"]

_STATEMENTS: Final = {
    LimitScope.QUEUE: "jobs/fetch_jobs_active",
    LimitScope.NAME: "jobs/fetch_jobs_active_name",
    LimitScope.GROUP: "jobs/fetch_jobs_active_group",
}


def count_active(connection: sqlite3.Connection, queue_name: str, scope: LimitScope, key: str) -> int:
    """Return how many jobs run of a queue with limits, or of one of its names or groups."""
    chosen = (queue_name,) if scope is LimitScope.QUEUE else (queue_name, key)
    (count,) = connection.execute(sql(_STATEMENTS[scope]), chosen).fetchone()
    return int(count)


@define
class _Rate:
    """What was used at the beginning, and what started since, all at this moment."""

    level: int
    free_at: int
    started: int = 0


class SqliteLedger:
    """Counts in the middle of a fetch; `close` writes what started."""

    def __init__(self, connection: sqlite3.Connection, queue_name: str, now: int) -> None:
        self._connection = connection
        self._queue_name = queue_name
        self._now = now
        self._rates: dict[tuple[LimitScope, str], tuple[RateLimit, _Rate]] = {}

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run."""
        return count_active(self._connection, self._queue_name, scope, key)

    def room_at(self, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> int | None:
        """Return from when on a start has room; None: now."""
        rate = self._rate(limiter, scope, key)
        room_at = self._room_at(rate, limiter, scope, key, weight)
        if room_at <= self._now:
            return None
        rate.free_at = room_at
        return room_at

    def charge(self, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> None:
        """Count a start."""
        rate = self._rate(limiter, scope, key)
        rate.level += weight if limiter.burst is None else weight * limiter.per_micros
        rate.started += weight

    def use(self, limiter: RateLimit, scope: LimitScope, key: str) -> tuple[int, int]:
        """Return how much of a rate is used, and from when on there is room for one start more."""
        rate = self._rate(limiter, scope, key)
        used = rate.level if limiter.burst is None else bucket_use(rate.level, limiter)
        return used, self._room_at(rate, limiter, scope, key, 1)

    def close(self) -> None:
        """Write what started, and what must wait until when."""
        for (scope, key), (limiter, rate) in self._rates.items():
            self._run("jobs/fetch_jobs_rate_kept", scope.value, key, rate.level, self._now, rate.free_at)
            if limiter.burst is None and rate.started:
                self._run("jobs/fetch_jobs_rate_start", scope.value, key, self._now, rate.started)

    def _room_at(self, rate: _Rate, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> int:
        if limiter.burst is not None:
            return bucket_room_at(rate.level, limiter, weight, self._now)
        if rate.level + weight <= limiter.max:
            return self._now
        starts = self._run("jobs/fetch_jobs_rate_starts", scope.value, key).fetchall()
        return window_room_at([*starts, (self._now, rate.started)], rate.level, limiter, weight, self._now)

    def _rate(self, limiter: RateLimit, scope: LimitScope, key: str) -> _Rate:
        found = self._rates.get((scope, key))
        if found is None:
            found = self._rates[scope, key] = limiter, self._load(limiter, scope, key)
        return found[1]

    def _load(self, limiter: RateLimit, scope: LimitScope, key: str) -> _Rate:
        row = self._run("jobs/fetch_jobs_rate", scope.value, key).fetchone()
        if row is None:
            return _Rate(0, 0)
        level, at, free_at = row
        if limiter.burst is not None:
            return _Rate(bucket_level(level, at, limiter, self._now), free_at)
        ended = self._run("jobs/fetch_jobs_rate_ended", scope.value, key, self._now - limiter.per_micros)
        return _Rate(level - sum(weight for (weight,) in ended.fetchall()), free_at)

    def _run(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql(statement), (self._queue_name, *parameters))
