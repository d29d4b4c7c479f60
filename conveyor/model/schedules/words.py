"""Rules of schedules, as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conveyor.model.schedules.values import ScheduleRule

__all__ = ["rule_in_words"]

_UNITS: Final = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def rule_in_words(rule: ScheduleRule) -> str:
    """Return when ticks are, in one line.

    >>> from conveyor.model.schedules.parsing import parse_rule
    >>> rule_in_words(parse_rule({"every": "2 hours", "limit": 3}))
    'every 2 hours, 3 times'
    >>> rule_in_words(parse_rule({"cron": "0 9 * * mon-fri", "tz": "Europe/Berlin"}))
    'at 09:00 on Monday through Friday (Europe/Berlin)'
    >>> rule_in_words(parse_rule({"cron": "*/2 * * * * *"}))
    'every other second of every minute (UTC)'
    """
    words = [_interval_in_words(rule.every) if rule.every else _cron_in_words(rule)]
    if rule.start_at is not None:
        words.append(f"from {rule.start_at.isoformat(sep=' ')}")
    if rule.end_at is not None:
        words.append(f"until {rule.end_at.isoformat(sep=' ')}")
    if rule.limit is not None:
        words.append("once" if rule.limit == 1 else f"{rule.limit} times")
    if rule.jitter is not None:
        words.append(f"up to {_span_in_words(rule.jitter)} later")
    return ", ".join(words)


def _interval_in_words(interval: timedelta) -> str:
    words = _span_in_words(interval)
    return f"every {words.removeprefix('1 ')}" if words.count(" ") == 1 else f"every {words}"


def _span_in_words(span: timedelta) -> str:
    parts: list[str] = []
    for unit, length in _UNITS:
        count, span = divmod(span, length)
        if count:
            parts.append(_counted(count, unit))
    seconds = span.total_seconds()
    if seconds or not parts:
        parts.append(_counted(seconds, "second"))
    return " ".join(parts)


def _counted(count: float, unit: str) -> str:
    return f"{count:g} {unit}" if count == 1 else f"{count:g} {unit}s"


def _cron_in_words(rule: ScheduleRule) -> str:
    from cronsim import CronSim

    explained = CronSim(rule.cron or "", datetime(2024, 1, 1, tzinfo=UTC)).explain()
    day_of_month, _, day_of_week = (rule.cron or "").split()[-3:]
    if not day_of_month.startswith("*") and not day_of_week.startswith("*"):
        # Either day is one, though its words say both.
        explained = explained.replace(" and on ", " or on ")
    # It counts: every second second, every third.
    explained = explained.replace("second second", "other second")
    return f"{explained[:1].lower()}{explained[1:]} ({rule.tz})"
