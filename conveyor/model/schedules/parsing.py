"""The options of a schedule, parsed once at the door; whatever is wrong is named by its field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo

from typing_extensions import TypedDict

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.checks import aware, check_name, longer_than_zero
from conveyor.model.durations import Duration
from conveyor.model.schedules.ticks import ticks_after
from conveyor.model.schedules.values import Missed, MissedPolicy, Overlap, ScheduleRule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ScheduleKeywords", "TimeKeywords", "check_schedule_id", "parse_rule"]

# Its jobs' ids hold it, and the time of a tick.
LONGEST_ID: Final = 200
# The finest that a cron expression can say: what comes sooner is no schedule, but a loop.
SHORTEST_INTERVAL: Final = timedelta(seconds=1)
_LEAP_YEAR: Final = datetime(2024, 1, 1, tzinfo=UTC)


# Closed, so that every type checker knows a misspelt option for one.
class ScheduleKeywords(TypedDict, total=False, closed=True):
    """The keyword options that ``queue.every`` and ``queue.cron`` take."""

    start: datetime | None
    end: datetime | None
    limit: int | None
    jitter: Duration | None
    overlap: Overlap | str
    missed: Missed | str


class TimeKeywords(TypedDict, total=False, closed=True):
    """The keyword options that ``app.schedules.upsert`` takes: those, and one of `every` and `cron`."""

    every: Duration | None
    cron: str | None
    tz: str
    start: datetime | None
    end: datetime | None
    limit: int | None
    jitter: Duration | None
    overlap: Overlap | str
    missed: Missed | str


_KNOWN: Final = frozenset(TimeKeywords.__annotations__)


def check_schedule_id(value: str) -> str:
    """Return the id if it can name a schedule: 1 to 200 characters, none of them a control character.

    Raises:
        ConfigurationError: it cannot.
    """
    if len(check_name(value, "schedule id")) > LONGEST_ID:
        raise ConfigurationError(f"schedule id must have at most {LONGEST_ID} characters, got {len(value)}")
    return value


def parse_rule(keywords: TimeKeywords, expires: timedelta | datetime | None = None) -> ScheduleRule:
    """Return the rule of a schedule.

    Args:
        keywords: its options.
        expires: that of its job, where that has one: a duration, counted from each tick.

    Raises:
        ConfigurationError: an unknown option, a value out of range, or options that contradict each other.
    """
    given = cast("Mapping[str, Any]", keywords)
    for name in given:
        if name not in _KNOWN:
            raise ConfigurationError(f"unknown schedule option {name!r}: {did_you_mean(name, _KNOWN)}")
    if isinstance(expires, datetime):
        raise ConfigurationError("expires of a scheduled job must be a duration, counted from each tick, not a time")
    every, cron = given.get("every"), given.get("cron")
    if (every is None) == (cron is None):
        raise ConfigurationError("give a schedule either every or cron")
    rule = ScheduleRule(
        every=None if every is None else _interval(every),
        cron=None if cron is None else _expression(cron),
        tz=_zone(given),
        start_at=_moment(given, "start"),
        end_at=_moment(given, "end"),
        limit=_limit(given.get("limit")),
        jitter=None if given.get("jitter") is None else longer_than_zero(given["jitter"], "jitter"),
        overlap=_overlap(given.get("overlap", Overlap.QUEUE)),
        missed=_missed(given.get("missed", MissedPolicy.ONE)),
        expires=expires,
    )
    _check_together(rule)
    return rule


def _interval(value: Duration) -> timedelta:
    interval = longer_than_zero(value, "every")
    if interval < SHORTEST_INTERVAL:
        raise ConfigurationError(f"every must be at least a second, got {value!r}")
    return interval


def _expression(value: str) -> str:
    from cronsim import CronSim, CronSimError

    if not isinstance(value, str):
        raise ConfigurationError(f"cron must be an expression such as '0 9 * * *', got {value!r}")
    try:
        next(CronSim(value, _LEAP_YEAR))
    except CronSimError as exc:
        raise ConfigurationError(f"cron {value!r} is no expression of five or six fields: {exc}") from exc
    except StopIteration:
        raise ConfigurationError(f"cron {value!r} names no day of the next fifty years") from None
    return " ".join(value.split())


def _zone(given: Mapping[str, Any]) -> str:
    name = given.get("tz", "UTC")
    if given.get("cron") is None and "tz" in given:
        raise ConfigurationError("tz is for cron: an interval is the same in every zone")
    try:
        return ZoneInfo(name).key
    except (LookupError, ValueError, TypeError, OSError) as exc:
        hint = "write for example 'Europe/Berlin'; on systems without zones, install tzdata"
        raise ConfigurationError(f"tz {name!r} is no time zone known here: {hint}") from exc


def _moment(given: Mapping[str, Any], name: str) -> datetime | None:
    value = given.get(name)
    return None if value is None else aware(value, name).astimezone(UTC)


def _limit(value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ConfigurationError(f"limit must be a whole number of at least 1, got {value!r}")
    return value


def _overlap(value: Overlap | str) -> Overlap:
    try:
        return Overlap(value)
    except ValueError:
        raise ConfigurationError(f"overlap must be one of {', '.join(Overlap)}, got {value!r}") from None


def _missed(value: Missed | str) -> Missed:
    return value if isinstance(value, Missed) else Missed(cast("MissedPolicy", value))


def _check_together(rule: ScheduleRule) -> None:
    if rule.start_at is not None and rule.end_at is not None and rule.end_at <= rule.start_at:
        raise ConfigurationError(f"end ({rule.end_at}) must be after start ({rule.start_at})")
    if rule.every is not None and rule.jitter is not None and rule.jitter > rule.every:
        raise ConfigurationError(f"jitter ({rule.jitter}) must not be longer than every ({rule.every})")
    if rule.missed.policy is MissedPolicy.ALL and rule.overlap is not Overlap.QUEUE:
        raise ConfigurationError(
            f"missed='all' adds several jobs at once, and overlap={rule.overlap.value!r} lets one be: "
            "use overlap='queue', or missed='one'"
        )
    if rule.start_at is not None and rule.end_at is not None:
        after = rule.start_at - timedelta.resolution
        if next(ticks_after(rule, rule.start_at, after), None) is None:
            raise ConfigurationError(f"cron {rule.cron!r} has no tick between start and end")
