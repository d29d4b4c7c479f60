"""When the ticks of a rule are: intervals, cron expressions, clock changes, jitter."""

from __future__ import annotations

import hashlib
from collections import deque
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cronsim import CronSim

    from conveyor.model.schedules.values import ScheduleRule

__all__ = ["delayed_by_jitter", "last_ticks", "ticks_after"]

_MINUTE: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)
_FRACTIONS: Final = 2**64
# How far back the last ticks of a cron expression are looked for: so far that there are enough, and not much farther.
_LOOKS_BACK: Final = (_MINUTE, timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366))


def ticks_after(rule: ScheduleRule, anchor_at: datetime, after: datetime) -> Iterator[datetime]:
    """Yield the ticks later than `after`, soonest first, in UTC.

    Those of an interval are counted from the rule's start, which is one of them, else from the anchor, which is none.
    Those of a cron expression are as in Debian's cron: one at a time of day that the clock leaves out comes when the
    clock goes on, one at a time of day that comes twice comes the first time; those of every hour or minute come in
    each hour and minute there is.

    Raises:
        ValueError, KeyError, cronsim.CronSimError: the expression or the zone means nothing here.
    """
    start_at = rule.start_at
    if start_at is not None and after < start_at:
        after = start_at.astimezone(UTC) - timedelta.resolution
    ticks = _every(rule.every, start_at or anchor_at, after) if rule.every else _cron(rule, after)
    for tick in ticks:
        if rule.end_at is not None and tick >= rule.end_at:
            return
        yield tick


def last_ticks(
    rule: ScheduleRule, anchor_at: datetime, first: datetime, until: datetime, *, most: int
) -> list[datetime]:
    """Return the last `most` ticks from `first`, itself one, to `until`, oldest first.

    The cost depends on how many are wanted, and hardly on how many there were.
    """
    if rule.every:
        # As many as there are, without counting them one by one.
        passed = (until - first) // rule.every
        since = first + max(passed - most, -1) * rule.every
    else:
        since = _since(rule, first, until, most)
    found: deque[datetime] = deque(maxlen=most)
    for tick in ticks_after(rule, anchor_at, max(since, first - timedelta.resolution)):
        if tick > until:
            break
        found.append(tick)
    return list(found)


def delayed_by_jitter(schedule_id: str, rule: ScheduleRule, tick: datetime, following: datetime | None) -> datetime:
    """Return when a tick fires: the same time in every process, and before the following tick."""
    if rule.jitter is None:
        return tick
    longest = rule.jitter if following is None else min(rule.jitter, following - tick)
    digest = hashlib.blake2b(f"{schedule_id}@{tick.isoformat()}".encode(), digest_size=8).digest()
    return tick + longest * (int.from_bytes(digest, "big") / _FRACTIONS)


def _every(interval: timedelta, origin: datetime, after: datetime) -> Iterator[datetime]:
    origin = origin.astimezone(UTC)
    number = max((after - origin) // interval + 1, 0)
    try:
        while True:
            yield origin + number * interval
            number += 1
    except OverflowError:
        return  # the calendar ends


def _cron(rule: ScheduleRule, after: datetime) -> Iterator[datetime]:
    expression = rule.cron or ""
    zone = ZoneInfo(rule.tz)
    # cronsim knows of clock changes in expressions of five fields only, so the seconds are put in here.
    seconds = _seconds(expression)
    minute_expression = " ".join(expression.split()[-5:])
    start = after.replace(second=0, microsecond=0) - _SECOND
    last = after
    for minute in _minutes(minute_expression, start.astimezone(zone)):
        for second in seconds:
            tick = minute + timedelta(seconds=second)
            # Where the clock goes back, times before `after` bear later names, and come again.
            if tick > last:
                last = tick
                yield tick


def _minutes(expression: str, start: datetime) -> Iterator[datetime]:
    try:
        for minute in _parse(expression, start):
            yield minute.astimezone(UTC)
    except OverflowError:
        return  # the calendar ends


def _parse(expression: str, start: datetime) -> CronSim:
    from cronsim import CronSim

    return CronSim(expression, start)


@lru_cache(maxsize=1024)
def _seconds(expression: str) -> tuple[int, ...]:
    return tuple(sorted(_parse(expression, datetime(2000, 1, 1, tzinfo=UTC)).seconds))


def _since(rule: ScheduleRule, first: datetime, until: datetime, most: int) -> datetime:
    for look in _LOOKS_BACK:
        since = until - look
        if since <= first:
            break
        ticks = ticks_after(rule, first, since)
        if sum(1 for tick in islice(ticks, most) if tick <= until) == most:
            return since
    return first - timedelta.resolution
