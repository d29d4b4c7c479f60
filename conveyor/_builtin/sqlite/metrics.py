"""The metrics facet of the SQLite store: what was counted is JSON, one row for each span, queue and name."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.rows import from_micros, span_micros, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.metrics import HOUR, MINUTE, Metrics, QueueDepth, merged, roll_up_of
from conveyor.model.states import SETTLED_STATES, JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.contracts.clock import Clock
    from conveyor.model.metrics import Counts, RollUp, Tally

__all__ = ["SqliteMetrics", "count_runs"]

# How long a span is in seconds, and when it begins in microseconds; the sum of all before has 0 for both.
_Row: TypeAlias = "tuple[int, int, str, str, Counts]"

_SUM, _MINUTE, _HOUR = 0, 60, 3600
_SPANS: Final = {_SUM: None, _MINUTE: MINUTE, _HOUR: HOUR}
_MICROS: Final = 1_000_000
_BEFORE_ALL: Final = -1
_LIVE_STATES: Final = tuple(state for state in JobState if state not in SETTLED_STATES)


def count_runs(transaction: Transaction, tallies: Sequence[Tally]) -> None:
    """Count runs that ended now."""
    start = transaction.now - transaction.now % (_MINUTE * _MICROS)
    _add(transaction, [(_MINUTE, start, tally.queue_name, tally.name, tally.counts) for tally in tallies])


def _add(transaction: Transaction, rows: Sequence[_Row]) -> None:
    if rows:
        transaction.connection.execute(sql("jobs/settle_jobs_count"), (as_json(rows),))


class SqliteMetrics:
    """What was counted, and how full queues are. See `conveyor.contracts.store.metrics`."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock) -> None:
        self._write = writer.run
        self._read = readers.run
        self._clock = clock

    async def get_metrics(self, window: timedelta | None, /, *, queue_names: Sequence[str] = ()) -> Metrics:
        """Return depths and roll-ups."""
        now = self._clock.now()
        since = None if window is None else to_micros(now) - span_micros(window)
        depths, roll_ups = await self._read(_get_metrics, since, as_json(queue_names) if queue_names else None)
        return Metrics(now, window, depths, roll_ups)

    async def roll_up(
        self, minutes_kept: timedelta | None, hours_kept: timedelta | None, /, *, limit: int = 1000
    ) -> int:
        """Add minutes up to hours, and hours to one sum."""
        return await self._write(_roll_up, minutes_kept, hours_kept, limit)


def _get_metrics(
    connection: sqlite3.Connection, since: int | None, queue_names: str | None
) -> tuple[Sequence[QueueDepth], Sequence[RollUp]]:
    begins = [_BEFORE_ALL if since is None else since - span * _MICROS for span in (_MINUTE, _HOUR)]
    rows = connection.execute(sql("metrics/get_metrics"), (*begins, since is None, queue_names))
    roll_ups = [
        roll_up_of(queue_name, name, json.loads(counts), start=from_micros(start) if span else None, span=_SPANS[span])
        for span, start, queue_name, name, counts in rows
    ]
    return _depths(connection, queue_names), roll_ups


def _depths(connection: sqlite3.Connection, queue_names: str | None) -> Sequence[QueueDepth]:
    counts: defaultdict[str, dict[JobState, int]] = defaultdict(lambda: dict.fromkeys(_LIVE_STATES, 0))
    oldest: dict[str, int] = {}
    for queue_name, state, count, waits_since in connection.execute(sql("metrics/get_metrics_depths"), (queue_names,)):
        of_queue = counts[queue_name]
        if state is not None:
            of_queue[JobState(state)] = count
        if waits_since is not None:
            oldest[queue_name] = waits_since
    return [
        QueueDepth(name, counts[name], from_micros(oldest[name]) if name in oldest else None) for name in sorted(counts)
    ]


def _roll_up(transaction: Transaction, minutes_kept: timedelta | None, hours_kept: timedelta | None, limit: int) -> int:
    moved = 0
    if minutes_kept is not None:
        until = transaction.now - span_micros(minutes_kept)
        moved += _move_up(transaction, _MINUTE, _HOUR, until - until % (_HOUR * _MICROS), limit)
    if hours_kept is not None:
        until = transaction.now - span_micros(hours_kept) - _HOUR * _MICROS
        moved += _move_up(transaction, _HOUR, _SUM, until + 1, limit - moved)
    return moved


def _move_up(transaction: Transaction, span: int, into: int, before: int, limit: int) -> int:
    """Add spans that begin before this time to those that they belong to; return how many."""
    connection = transaction.connection
    old = connection.execute(sql("metrics/roll_up"), (span, before, max(limit, 0))).fetchall()
    sums: defaultdict[tuple[int, str, str], list[Counts]] = defaultdict(list)
    for start, queue_name, name, counts in old:
        longer = start - start % (into * _MICROS) if into else 0
        sums[longer, queue_name, name].append(json.loads(counts))
    _add(transaction, [(into, *key, merged(parts)) for key, parts in sums.items()])
    connection.executemany(sql("metrics/roll_up_forget"), [(span, *row[:3]) for row in old])
    return len(old)
