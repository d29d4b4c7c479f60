"""Retention: for how long, and how many, settled jobs keep their record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.durations import Duration, parse_duration

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = [
    "ATTEMPTS_KEPT",
    "LOG_LINES_KEPT",
    "TRIM_EVERY",
    "WORKERS_KEPT",
    "Removal",
    "Retention",
    "kept_for",
    "parse_removal",
]

# What the options `remove_on_complete` and `remove_on_fail` hold: at once, never by itself, or after so long.
Removal: TypeAlias = bool | timedelta

DEFAULT_MAX_AGE: Final = timedelta(days=30)
DEFAULT_METRIC_MINUTES: Final = timedelta(hours=3)
DEFAULT_METRIC_HOURS: Final = timedelta(days=30)

# Of each job the last so many log lines and ended runs are kept at least, and seldom many more: a store takes the
# older ones away as others come, but looks only at every TRIM_EVERY-th.
LOG_LINES_KEPT: Final = 10_000
ATTEMPTS_KEPT: Final = 1_000
# Of so many workers at least, those opened last, a store knows where they ran.
WORKERS_KEPT: Final = 10_000
TRIM_EVERY: Final = 100


def parse_removal(value: bool | Duration, name: str) -> Removal:
    """Return when a settled job is to be removed, from what was given to the option of this name.

    Raises:
        ConfigurationError: it is neither true nor false nor a duration longer than zero.
    """
    if isinstance(value, bool):
        return value
    if not isinstance(value, timedelta | int | float | str):
        raise ConfigurationError(f"{name} must be True, False or a duration, got {value!r}")
    kept = parse_duration(value, field=name)
    if not kept:
        raise ConfigurationError(f"{name} must be longer than zero; True removes the job when it is settled")
    return kept


def kept_for(removal: Removal) -> timedelta | None:
    """Return how long a settled job keeps its record by its own option; None: the option names no duration."""
    return None if isinstance(removal, bool) else removal


def _max_age(value: Duration | None) -> timedelta | None:
    return _age(value, "max_age")


def _metric_minutes(value: Duration | None) -> timedelta | None:
    return _age(value, "metric_minutes")


def _metric_hours(value: Duration | None) -> timedelta | None:
    return _age(value, "metric_hours")


def _age(value: Duration | None, name: str) -> timedelta | None:
    if value is None:
        return None
    age = parse_duration(value, field=name)
    if not age:
        raise ConfigurationError(f"{name} must be longer than zero; None keeps everything, whatever its age")
    return age


def _is_max_count(_: object, attribute: Attribute[int | None], value: int | None) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ConfigurationError(
            f"{attribute.name} must be a whole number of at least 1 and of 32 bits, or None for any number; "
            f"got {value!r}"
        )


@frozen
class Retention:
    """Which settled jobs keep their record: those that ended of late, and of these the newest; and what metrics keep.

    A job goes when any of these says so, or its own ``remove_on_complete`` or ``remove_on_fail``: the shortest wins.

    Attributes:
        max_age: how long after its end a job keeps its record at most; None: for ever.
        max_count: how many settled jobs each queue keeps at most, and how many ended batch jobs of each type; None: any
            number.
        metric_minutes: how long metrics are kept for each minute, until they are added up to hours; None: for ever.
        metric_hours: how long they are kept for each hour, until they are added to the sum; None: for ever.

    >>> Retention(max_age="7 days", max_count=10_000)
    Retention(max_age=datetime.timedelta(days=7), max_count=10000)
    """

    max_age: timedelta | None = field(default=DEFAULT_MAX_AGE, converter=_max_age)
    max_count: int | None = field(default=None, validator=_is_max_count)
    metric_minutes: timedelta | None = field(default=DEFAULT_METRIC_MINUTES, converter=_metric_minutes, repr=False)
    metric_hours: timedelta | None = field(default=DEFAULT_METRIC_HOURS, converter=_metric_hours, repr=False)
