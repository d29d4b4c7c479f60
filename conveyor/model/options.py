"""Options of jobs with every default, parsed once at the door."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from attrs import evolve, field, fields_dict, frozen
from typing_extensions import TypedDict

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.checks import aware, check_job_id, is_bool, is_count, is_integer, is_text, longer_than_zero
from conveyor.model.deduplication import Deduplication, DeduplicationMode
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.groups import Group, parse_group
from conveyor.model.retention import Removal, parse_removal
from conveyor.model.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attrs import Attribute

__all__ = [
    "ChildFailurePolicy",
    "JobKeywords",
    "JobOptions",
    "Placement",
    "parse_job_keywords",
]


class ChildFailurePolicy(StrEnum):
    """What becomes of a parent when a child fails for good, is cancelled, or is removed before it ended.

    FAIL: it fails at once. IGNORE: it goes on; the child stays among its children, with how it ended.
    REMOVE: it goes on; the child is its child no longer.
    """

    FAIL = "fail"
    IGNORE = "ignore"
    REMOVE = "remove"


def _child_failure_policy(value: str) -> ChildFailurePolicy:
    try:
        return ChildFailurePolicy(value)
    except ValueError:
        known = ", ".join(ChildFailurePolicy)
        raise ConfigurationError(f"on_child_failure must be one of {known}, got {value!r}") from None


def _is_backoff(_: object, attribute: Attribute[Backoff | None], value: Backoff | None) -> None:
    if value is not None and not isinstance(value, Backoff):
        raise ConfigurationError(f"{attribute.name} must be made by fixed(), exponential() or by_name(), got {value!r}")


def _timeout(value: Duration | None) -> timedelta | None:
    if value is None:
        return None
    timeout = parse_duration(value, field="timeout")
    if not timeout:
        raise ConfigurationError("timeout must be longer than zero; leave it out for none")
    return timeout


def _remove_on_complete(value: bool | Duration) -> Removal:
    return parse_removal(value, "remove_on_complete")


def _remove_on_fail(value: bool | Duration) -> Removal:
    return parse_removal(value, "remove_on_fail")


def _tags(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not all(is_text(tag) for tag in value):
        raise ConfigurationError(f"tags must be a list of valid strings, got {value!r}")
    return tuple(value)


def _metadata(value: Mapping[str, str]) -> dict[str, str]:
    pairs = dict(value)
    if not all(is_text(key) and is_text(text) for key, text in pairs.items()):
        raise ConfigurationError(f"metadata must map valid strings to valid strings, got {value!r}")
    return pairs


@frozen
class JobOptions:
    """How a job behaves; kept with the job.

    Attributes:
        attempts: how often the job may run in all; stalls and snoozes are not counted.
        backoff: the wait before each retry; None means at once.
        priority: lower runs first.
        lifo: run before the FIFO jobs of the same priority, newest first.
        timeout: cancel a run that takes longer; it counts as a failed attempt.
        remove_on_complete: True keeps no record of the job once it completed; a duration keeps it at most so
            long; False keeps it for as long as the app's retention says.
        remove_on_fail: the same, once it failed for good.
        on_child_failure: what becomes of it when a job that it waits for, in a flow, ends otherwise than completed:
            "fail", "ignore" or "remove".
        tags: words to find the job by.
        metadata: strings that travel with the job and mean nothing to conveyor.
        version: the version of its arguments; a handler of a later version upgrades them.
        flow_id: the flow that it belongs to, by the id of its topmost job; set by the flow, never given.
        group: whom it is for; the groups of a queue take turns.
    """

    attempts: int = field(default=1, validator=is_count)
    backoff: Backoff | None = field(default=None, validator=_is_backoff)
    priority: int = field(default=0, validator=is_integer)
    lifo: bool = field(default=False, validator=is_bool)
    timeout: timedelta | None = field(default=None, converter=_timeout)
    remove_on_complete: Removal = field(default=False, converter=_remove_on_complete)
    remove_on_fail: Removal = field(default=False, converter=_remove_on_fail)
    on_child_failure: ChildFailurePolicy = field(default=ChildFailurePolicy.FAIL, converter=_child_failure_policy)
    tags: tuple[str, ...] = field(default=(), converter=_tags)
    metadata: dict[str, str] = field(factory=dict, converter=_metadata, hash=False)
    version: int = field(default=1, validator=is_count)
    flow_id: str | None = None
    group: Group | None = field(default=None, converter=parse_group)


# Closed, so that every type checker knows a misspelt option for one.
class JobKeywords(TypedDict, total=False, closed=True):
    """The keyword options that ``queue.add``, ``@queue.job`` and ``handler.options`` take."""

    attempts: int
    backoff: Backoff | None
    priority: int
    lifo: bool
    timeout: Duration | None
    remove_on_complete: bool | Duration
    remove_on_fail: bool | Duration
    on_child_failure: Literal["fail", "ignore", "remove"]
    tags: Sequence[str]
    metadata: Mapping[str, str]
    version: int
    group: Group | str | None
    delay: Duration | None
    run_at: datetime | None
    expires: Duration | datetime | None
    deduplication: Deduplication | None
    job_id: str | None


@frozen
class Placement:
    """When a new job becomes due and expires, under which id, and what it must not double: decided once, at the add.

    At most one of `delay` (counted by the store's clock) and `run_at` (aware) is given; neither means now.
    `expires` is until when it must have started: a time, or a duration counted by the store's clock.
    """

    delay: timedelta | None = None
    run_at: datetime | None = None
    expires: timedelta | datetime | None = None
    deduplication: Deduplication | None = None
    job_id: str | None = None


NOW: Final = Placement()
_PLACEMENT: Final = frozenset(fields_dict(Placement))
_BEHAVIOUR: Final = frozenset(fields_dict(JobOptions)) - {"flow_id"}


def parse_job_keywords(
    keywords: JobKeywords, options: JobOptions, placement: Placement = NOW
) -> tuple[JobOptions, Placement]:
    """Lay the given keywords over defaults.

    Raises:
        ConfigurationError: an unknown option, a value out of range, or both `delay` and `run_at`.
    """
    given = cast("dict[str, Any]", keywords)
    if not given:
        return options, placement
    for name in given:
        if name not in _BEHAVIOUR and name not in _PLACEMENT:
            raise ConfigurationError(f"unknown job option {name!r}: {did_you_mean(name, _BEHAVIOUR | _PLACEMENT)}")
    behaviour = {name: value for name, value in given.items() if name in _BEHAVIOUR}
    if len(behaviour) == 1 and "group" in behaviour:
        options = _of_group(options, parse_group(behaviour["group"]))
    elif behaviour:
        options = evolve(options, **behaviour)
    if len(behaviour) < len(given):
        placement = _parse_placement(given, placement)
    return options, placement


# Enough for ten thousand groups.
@lru_cache(maxsize=16_384)
def _of_group(options: JobOptions, group: Group | None) -> JobOptions:
    """Return options that differ in the group alone, which most adds of a queue with groups give, and nothing else."""
    return evolve(options, group=group)


def _parse_placement(given: Mapping[str, Any], default: Placement) -> Placement:
    if given.get("delay") is not None and given.get("run_at") is not None:
        raise ConfigurationError("give delay or run_at, not both")
    delay, run_at = default.delay, default.run_at
    if "delay" in given:
        delay, run_at = _delay(given["delay"]), None
    if given.get("run_at") is not None:
        delay, run_at = None, aware(given["run_at"], "run_at")
    expires = _expires(given["expires"]) if "expires" in given else default.expires
    if isinstance(expires, timedelta) and delay is not None and expires <= delay:
        raise ConfigurationError(f"expires ({expires}) must be longer than delay ({delay}), or the job never starts")
    deduplication = given.get("deduplication", default.deduplication)
    _check_deduplication(deduplication, is_delayed=delay is not None or run_at is not None)
    job_id = given.get("job_id", default.job_id)
    return Placement(delay, run_at, expires, deduplication, None if job_id is None else check_job_id(job_id))


def _check_deduplication(value: Deduplication | None, *, is_delayed: bool) -> None:
    if value is None:
        return
    if not isinstance(value, Deduplication):
        raise ConfigurationError(f"deduplication must be made by Deduplication(...), got {value!r}")
    if value.mode is DeduplicationMode.DEBOUNCE and not is_delayed:
        raise ConfigurationError("deduplication with mode='debounce' puts a job off by its delay: give it a delay, too")


def _delay(value: Duration | None) -> timedelta | None:
    return None if value is None else parse_duration(value, field="delay")


def _expires(value: Duration | datetime | None) -> timedelta | datetime | None:
    if value is None:
        return None
    return aware(value, "expires") if isinstance(value, datetime) else longer_than_zero(value, "expires")
