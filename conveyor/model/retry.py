"""When a failed job runs again: attempts and back-off curves, as data that a store can keep."""

from __future__ import annotations

import math
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.durations import Duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attrs import Attribute

    Curve = Callable[[int], timedelta]

__all__ = ["Backoff", "BackoffKind", "by_name", "exponential", "fixed", "retry_delay"]

LONGEST_BACKOFF: Final = timedelta(hours=24)


class BackoffKind(StrEnum):
    """The shapes a back-off can have."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"
    NAMED = "named"


def _not_below_one(_: Backoff, attribute: Attribute[float], value: float) -> None:
    # Written so that NaN is refused too.
    if not 1 <= value < math.inf:
        raise ConfigurationError(f"backoff {attribute.name} must be a finite number of at least 1, got {value!r}")


def _a_share(_: Backoff, attribute: Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigurationError(f"backoff {attribute.name} must be between 0 and 1, got {value!r}")


@frozen
class Backoff:
    """How long to wait after a failure. Make one with `fixed`, `exponential` or `by_name`.

    Attributes:
        delay: the wait after the first failure.
        factor: each further failure multiplies the wait by this.
        max: the wait never exceeds this, jitter aside.
        jitter: the share by which the wait is spread, up and down alike; 0.25 means 75 % to 125 %.
        name: for a named curve, the name it is registered under.
    """

    kind: BackoffKind
    delay: timedelta = timedelta(0)
    factor: float = field(default=2.0, validator=_not_below_one)
    max: timedelta = LONGEST_BACKOFF
    jitter: float = field(default=0.0, validator=_a_share)
    name: str = ""


def fixed(delay: Duration) -> Backoff:
    """Wait the same time after each failure.

    >>> fixed("30s").delay
    datetime.timedelta(seconds=30)
    """
    return Backoff(BackoffKind.FIXED, delay=parse_duration(delay, field="backoff delay"))


def exponential(
    delay: Duration, *, factor: float = 2.0, max: Duration = LONGEST_BACKOFF, jitter: float = 0.25
) -> Backoff:
    """Wait ``delay * factor ** (failures - 1)``, at most `max`, spread by `jitter` up and down."""
    return Backoff(
        BackoffKind.EXPONENTIAL,
        delay=parse_duration(delay, field="backoff delay"),
        factor=factor,
        max=parse_duration(max, field="backoff max"),
        jitter=jitter,
    )


def by_name(name: str) -> Backoff:
    """Use the curve that the app registered under this name with ``app.register_backoff``."""
    return Backoff(BackoffKind.NAMED, name=name)


def retry_delay(
    backoff: Backoff | None, failures: int, *, jitter: float, curves: Mapping[str, Curve] | None = None
) -> timedelta:
    """Return the wait after this many failures (1 for the first).

    Args:
        backoff: None means at once.
        failures: how often the job has failed, this time included.
        jitter: a random number from 0 (inclusive) to 1 (exclusive), given by the caller.
        curves: the registered curves of this program, by name.

    Raises:
        ConfigurationError: the named curve is not registered in this program.
    """
    if backoff is None:
        return timedelta(0)
    match backoff.kind:
        case BackoffKind.FIXED:
            return backoff.delay
        case BackoffKind.EXPONENTIAL:
            return _exponential_delay(backoff, failures, jitter)
        case BackoffKind.NAMED:
            return _named_delay(backoff, failures, curves or {})


def _exponential_delay(backoff: Backoff, failures: int, jitter: float) -> timedelta:
    try:
        seconds = backoff.delay.total_seconds() * backoff.factor ** (failures - 1)
    except OverflowError:
        seconds = backoff.max.total_seconds()
    seconds = min(seconds, backoff.max.total_seconds())
    return timedelta(seconds=seconds * (1 + backoff.jitter * (2 * jitter - 1)))


def _named_delay(backoff: Backoff, failures: int, curves: Mapping[str, Curve]) -> timedelta:
    if backoff.name not in curves:
        raise ConfigurationError(
            f"no back-off curve is registered under {backoff.name!r}; register it with app.register_backoff"
        )
    return parse_duration(curves[backoff.name](failures), field=f"backoff {backoff.name!r}")
