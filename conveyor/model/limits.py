"""Limits of a queue: how many of its jobs run at once, and how many start in a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from attrs import field, fields, frozen
from attrs.validators import optional

from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_name, is_count, longer_than_zero
from conveyor.model.durations import Duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attrs import Attribute

__all__ = [
    "NO_LIMITS",
    "GroupCounts",
    "GroupLimits",
    "LimitKind",
    "LimitScope",
    "LimitUsage",
    "LimitsReport",
    "NameLimits",
    "QueueLimits",
    "RateKey",
    "RateLimit",
    "completed",
    "differing",
    "forgotten",
]

RateKey: TypeAlias = Literal["name", "group"]

T = TypeVar("T")

# Stores count in 64 bits: starts times microseconds.
_LARGEST: Final = 2**60
_MICROSECOND: Final = timedelta(microseconds=1)


class LimitScope(StrEnum):
    """What a limit counts together: the whole queue, the jobs of one name, or those of one group."""

    QUEUE = "queue"
    NAME = "name"
    GROUP = "group"


class LimitKind(StrEnum):
    """What a limit counts: runs at once, or starts in a time."""

    CONCURRENCY = "concurrency"
    RATE = "rate"


def _per(value: Duration) -> timedelta:
    return longer_than_zero(value, "per")


def _weights(value: Mapping[str, int] | None) -> dict[str, int]:
    for name in (weights := dict(value or {})):
        check_name(name, "a name in weights")
    return _checked_weights(weights)


def _group_weights(value: Mapping[str, int] | None) -> dict[str, int]:
    for group_id in (weights := dict(value or {})):
        if group_id != "":
            check_name(group_id, "a group in weights")
    return _checked_weights(weights)


def _checked_weights(weights: dict[str, int]) -> dict[str, int]:
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= 1000:
            raise ConfigurationError(f"weights must be whole numbers from 1 to 1000, got {name}={weight!r}")
    return weights


def _is_rate_key(_: object, attribute: Attribute[Any], value: object) -> None:
    if value not in (None, "name", "group"):
        raise ConfigurationError(f'{attribute.name} must be None, "name" or "group", got {value!r}')


@frozen
class RateLimit:
    """How many jobs may start in a time.

    Without `burst` it is a sliding window: never more than `max` starts in any stretch of `per`, however it is laid.
    With `burst` it is a token bucket: it holds at most so many starts, full at first, and gains `max` in each `per`.

    Attributes:
        max: how many starts.
        per: in which time.
        key: what is counted apart: "name" each job name, "group" each group (jobs without one count as one group);
            None: the whole queue together.
        burst: the size of the bucket; None: a window.
        weights: jobs of these names count as so many starts; the others as one.

    Raises:
        ConfigurationError: a value is out of range, or a weight is more than can ever be had at once.

    >>> RateLimit(100, "1 minute", weights={"newsletter": 10}).weight_of("newsletter")
    10
    """

    max: int = field(validator=is_count)
    per: timedelta = field(converter=_per)
    key: RateKey | None = field(default=None, validator=_is_rate_key)
    burst: int | None = field(default=None, validator=optional(is_count))
    weights: dict[str, int] = field(factory=dict, converter=_weights, hash=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what could never start, and what cannot be counted."""
        for name, weight in self.weights.items():
            if weight > self.capacity:
                raise ConfigurationError(
                    f"weights[{name!r}] is {weight}, but no more than {self.capacity} start at once"
                )
        if max(self.max, self.capacity) * self.per_micros >= _LARGEST:
            raise ConfigurationError(f"a rate of {self.capacity} per {self.per} is more than can be counted")

    @property
    def capacity(self) -> int:
        """How many may start at once, at most."""
        return self.max if self.burst is None else self.burst

    @property
    def per_micros(self) -> int:
        """Its time in microseconds."""
        return self.per // _MICROSECOND

    def weight_of(self, job_name: str) -> int:
        """Return how many starts a job of this name counts as."""
        return self.weights.get(job_name, 1) if self.weights else 1

    def counts_like(self, other: RateLimit | None) -> bool:
        """Return whether what was counted for the other still tells something about this."""
        return other is not None and (self.key, self.burst is None) == (other.key, other.burst is None)


def _is_limiter(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, RateLimit):
        raise ConfigurationError(f"{attribute.name} must be a RateLimit, got {value!r}")


def _is_keyless(instance: object, attribute: Attribute[Any], value: RateLimit | None) -> None:
    _is_limiter(instance, attribute, value)
    if value is not None and value.key is not None:
        raise ConfigurationError(f"the limiter of {type(instance).__name__} counts apart already: leave out its key")


@frozen
class GroupLimits:
    """What holds for each group of a queue by itself; jobs without a group are not held by it.

    Attributes:
        concurrency: how many jobs of a group run at once.
        limiter: how many jobs of a group start in a time.
        weights: groups with so many turns where the others have one; "" stands for the jobs without a group.

    Raises:
        ConfigurationError: a value is out of range, or the limiter has a key.
    """

    concurrency: int | None = field(default=None, validator=optional(is_count))
    limiter: RateLimit | None = field(default=None, validator=_is_keyless)
    weights: dict[str, int] = field(factory=dict, converter=_group_weights, hash=False)


@frozen
class NameLimits:
    """What holds for the jobs of one name.

    Attributes:
        concurrency: how many of them run at once.
        limiter: how many of them start in a time.

    Raises:
        ConfigurationError: a value is out of range, or the limiter has a key.
    """

    concurrency: int | None = field(default=None, validator=optional(is_count))
    limiter: RateLimit | None = field(default=None, validator=_is_keyless)


def _is_group_limits(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, GroupLimits):
        raise ConfigurationError(f"{attribute.name} must be GroupLimits, got {value!r}")


def _names(value: Mapping[str, NameLimits] | None) -> dict[str, NameLimits]:
    names = dict(value or {})
    for name, limits in names.items():
        check_name(name, "a name in names")
        if not isinstance(limits, NameLimits):
            raise ConfigurationError(f"names must map job names to NameLimits, got {name}={limits!r}")
    return names


@frozen
class QueueLimits:
    """All limits of a queue, shared by every worker on it. None, or a name left out, means no limit.

    Attributes:
        max_global_concurrency: how many of its jobs run at once, on all workers together.
        limiter: how many of its jobs start in a time.
        group: what holds for each group.
        names: what holds for the jobs of these names.

    Raises:
        ConfigurationError: a value is out of range.
    """

    max_global_concurrency: int | None = field(default=None, validator=optional(is_count))
    limiter: RateLimit | None = field(default=None, validator=_is_limiter)
    group: GroupLimits | None = field(default=None, validator=_is_group_limits)
    names: dict[str, NameLimits] = field(factory=dict, converter=_names, hash=False)


NO_LIMITS: Final = QueueLimits()


@frozen
class LimitUsage:
    """How far one limit of a queue is used, and who waits for it.

    Attributes:
        scope: what it counts together.
        key: the job name or the group; "" where it is the whole queue, and for the jobs without a group.
        kind: whether it limits runs at once or starts in a time.
        used: how many run, or how many of its starts are used.
        max: how many there may be at once.
        waiting: how many jobs wait that it concerns, whatever else holds them.
        free_at: when it next has room, where only time makes room; None: it has room, or a run must end first.
    """

    scope: LimitScope
    key: str
    kind: LimitKind
    used: int
    max: int
    waiting: int
    free_at: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether it holds jobs up now."""
        return self.used >= self.max or self.free_at is not None


@frozen
class LimitsReport:
    """The limits of a queue, and how far each is used."""

    limits: QueueLimits
    usages: tuple[LimitUsage, ...] = ()


@frozen
class GroupCounts:
    """How many jobs of a group wait, and how many run."""

    waiting: int
    active: int


def differing(declared: QueueLimits, held: QueueLimits) -> Iterator[tuple[str, object, object]]:
    """Go through what is declared and held otherwise: its name, the value declared, the value held.

    What a worker leaves out it declares nothing about.
    """
    for attribute in fields(QueueLimits):
        wanted, found = getattr(declared, attribute.name), getattr(held, attribute.name)
        if wanted and wanted != found:
            yield attribute.name, wanted, found


def completed(held: QueueLimits, declared: QueueLimits) -> QueueLimits:
    """Return the limits held, with what is declared where nothing is held."""
    pick: Callable[[str], Any] = lambda name: getattr(held, name) or getattr(declared, name)  # noqa: E731
    return QueueLimits(**{attribute.name: pick(attribute.name) for attribute in fields(QueueLimits)})


def forgotten(old: QueueLimits, new: QueueLimits, scope: LimitScope, key: str) -> bool:
    """Return whether what was counted under the old limits tells nothing about the new ones."""
    limiter = _limiter(new, scope, key)
    return limiter is None or not limiter.counts_like(_limiter(old, scope, key))


def _limiter(limits: QueueLimits, scope: LimitScope, key: str) -> RateLimit | None:
    if scope is LimitScope.QUEUE:
        return limits.limiter
    if scope is LimitScope.GROUP:
        return None if limits.group is None else limits.group.limiter
    named = limits.names.get(key)
    return None if named is None else named.limiter
