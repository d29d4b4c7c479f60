"""The metrics facet of the PostgreSQL store: what was counted is JSON, a row for each span, queue, name and session."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.codec import encode_json
from conveyor.model.metrics import HOUR, MINUTE, Metrics, QueueDepth, roll_up_of
from conveyor.model.states import SETTLED_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.metrics import Tally
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresMetrics", "as_column", "count_runs"]

# By its seconds; 0 stands for all that was before.
_SPANS: Final = {0: None, 60: MINUTE, 3600: HOUR}
# Sessions that are cut off may count a little later than others.
_SESSIONS_COUNT_FOR: Final = timedelta(minutes=2)
_LIVE_STATES: Final = tuple(state for state in JobState if state not in SETTLED_STATES)


def as_column(tallies: Sequence[Tally]) -> str:
    """Return tallies as the database's function count_runs takes them."""
    return encode_json([(tally.queue_name, tally.name, tally.counts) for tally in tallies]).decode()


async def count_runs(part: Part, tallies: Sequence[Tally], now: datetime, session_id: str = "") -> None:
    """Count runs that ended now."""
    if tallies:
        await part.fetchval("jobs/settle_jobs_count", as_column(tallies), session_id, now)


class PostgresMetrics:
    """What was counted, and how full queues are. See `conveyor.contracts.store.metrics`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_metrics(self, window: timedelta | None, /, *, queue_names: Sequence[str] = ()) -> Metrics:
        """Return depths and roll-ups."""
        return await self._database.read(_get_metrics, window, list(queue_names) or None)

    async def roll_up(
        self, minutes_kept: timedelta | None, hours_kept: timedelta | None, /, *, limit: int = 1000
    ) -> int:
        """Add minutes up to hours, and hours to one sum."""
        return await self._database.write(_roll_up, minutes_kept, hours_kept, max(limit, 0))


async def _get_metrics(part: Part, window: timedelta | None, queue_names: Sequence[str] | None) -> Metrics:
    now = await part.now()
    since = None if window is None else now - window
    roll_ups = [
        roll_up_of(queue_name, name, json.loads(counts), start=start if span else None, span=_SPANS[span])
        for span, start, queue_name, name, counts in await part.fetch("metrics/get_metrics", since, queue_names)
    ]
    return Metrics(now, window, await _depths(part, queue_names), roll_ups)


async def _depths(part: Part, queue_names: Sequence[str] | None) -> Sequence[QueueDepth]:
    counts: defaultdict[str, dict[JobState, int]] = defaultdict(lambda: dict.fromkeys(_LIVE_STATES, 0))
    oldest: dict[str, datetime] = {}
    for queue_name, state, count, waits_since in await part.fetch("metrics/get_metrics_depths", queue_names):
        of_queue = counts[queue_name]
        if state is not None:
            of_queue[JobState(state)] = count
        if waits_since is not None:
            oldest[queue_name] = waits_since
    return [QueueDepth(name, counts[name], oldest.get(name)) for name in sorted(counts)]


async def _roll_up(part: Part, minutes_kept: timedelta | None, hours_kept: timedelta | None, limit: int) -> int:
    now, moved = await part.now(), 0
    # A row less for each session changes nothing that anybody sees, so it is no span that was added up.
    await part.execute("metrics/roll_up_sessions", now - _SESSIONS_COUNT_FOR, limit)
    if minutes_kept is not None:
        moved += await part.fetchval("metrics/roll_up_minutes", now - minutes_kept, limit)
    if hours_kept is not None:
        moved += await part.fetchval("metrics/roll_up_hours", now - hours_kept, limit - moved)
    return moved
