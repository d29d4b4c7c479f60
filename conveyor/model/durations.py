"""Durations as people write them: a timedelta, seconds, or words such as "5 minutes"."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final, TypeAlias

from pytimeparse.timeparse import timeparse

from conveyor.errors import ConfigurationError

__all__ = ["Duration", "parse_duration"]

Duration: TypeAlias = timedelta | float | str

# A date so far away still fits into a datetime.
LONGEST: Final = timedelta(days=36_525)

_MILLISECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:ms|msecs?|milliseconds?)")


def parse_duration(value: Duration, *, field: str = "duration") -> timedelta:
    """Turn a timedelta, a number of seconds, or words into a timedelta.

    Words are what pytimeparse reads ("30s", "5 minutes", "1h30m", "2 days"), milliseconds ("250ms"),
    and any of these after "in ".

    Raises:
        ConfigurationError: the value is no duration, is negative, or is not finite.

    >>> parse_duration("in 5 minutes")
    datetime.timedelta(seconds=300)
    """
    try:
        duration = _as_timedelta(value, field)
    except OverflowError:
        raise ConfigurationError(f"{field} is longer than a timedelta can be, got {value!r}") from None
    if duration > LONGEST:
        raise ConfigurationError(f"{field} must be at most 100 years, got {value!r}")
    if duration < timedelta(0):
        raise ConfigurationError(f"{field} must not be negative, got {value!r}")
    return duration


def _as_timedelta(value: Duration, field: str) -> timedelta:
    match value:
        case timedelta():
            return value
        case bool():
            raise ConfigurationError(f"{field} must be a duration, got {value!r}")
        case int() | float():
            if not math.isfinite(value):
                raise ConfigurationError(f"{field} must be a finite number of seconds, got {value!r}")
            return timedelta(seconds=value)
        case str():
            return timedelta(seconds=_seconds_in_words(value, field))
        case _:
            raise ConfigurationError(f"{field} must be a timedelta, seconds or words, got {type(value).__name__}")


def _seconds_in_words(words: str, field: str) -> float:
    text = words.strip().lower().removeprefix("in ").strip()
    if milliseconds := _MILLISECONDS.fullmatch(text):
        return float(milliseconds[1]) / 1000
    seconds = timeparse(text)
    if seconds is None:
        raise ConfigurationError(f'{field} {words!r} is no duration; write for example "30s", "5 minutes" or "1h30m"')
    return float(seconds)
