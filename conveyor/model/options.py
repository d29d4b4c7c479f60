"""Options of jobs and workers with every default, parsed once at the door."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from attrs import evolve, field, fields_dict, frozen
from attrs.validators import optional
from typing_extensions import TypedDict

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.retention import Removal, parse_removal
from conveyor.model.retry import Backoff
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attrs import Attribute

__all__ = [
    "JobKeywords",
    "JobOptions",
    "Placement",
    "WorkerKeywords",
    "WorkerOptions",
    "parse_job_keywords",
    "parse_worker_keywords",
]

LONGEST_NAME: Final = 255
LONGEST_ID: Final = 255


def _is_count(_: object, attribute: Attribute[int], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{attribute.name} must be a whole number of at least 1, got {value!r}")


def _is_integer(_: object, attribute: Attribute[int], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise ConfigurationError(f"{attribute.name} must be a whole number of 32 bits, got {value!r}")


def _is_not_negative(_: object, attribute: Attribute[int], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ConfigurationError(f"{attribute.name} must be a whole number of at least 0 and of 32 bits, got {value!r}")


def _is_bool(_: object, attribute: Attribute[bool], value: bool) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{attribute.name} must be True or False, got {value!r}")


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


def _is_text(value: object) -> bool:
    return isinstance(value, str) and clean_text(value) == value


def _tags(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not all(_is_text(tag) for tag in value):
        raise ConfigurationError(f"tags must be a list of valid strings, got {value!r}")
    return tuple(value)


def _metadata(value: Mapping[str, str]) -> dict[str, str]:
    pairs = dict(value)
    if not all(_is_text(key) and _is_text(text) for key, text in pairs.items()):
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
        tags: words to find the job by.
        metadata: strings that travel with the job and mean nothing to conveyor.
        version: the version of its arguments; a handler of a later version upgrades them.
    """

    attempts: int = field(default=1, validator=_is_count)
    backoff: Backoff | None = field(default=None, validator=_is_backoff)
    priority: int = field(default=0, validator=_is_integer)
    lifo: bool = field(default=False, validator=_is_bool)
    timeout: timedelta | None = field(default=None, converter=_timeout)
    remove_on_complete: Removal = field(default=False, converter=_remove_on_complete)
    remove_on_fail: Removal = field(default=False, converter=_remove_on_fail)
    tags: tuple[str, ...] = field(default=(), converter=_tags)
    metadata: dict[str, str] = field(factory=dict, converter=_metadata, hash=False)
    version: int = field(default=1, validator=_is_count)


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
    tags: Sequence[str]
    metadata: Mapping[str, str]
    version: int
    delay: Duration | None
    run_at: datetime | None
    expires: Duration | datetime | None
    job_id: str | None


@frozen
class Placement:
    """When a new job becomes due and expires, and under which id: what is decided once, when it is added.

    At most one of `delay` (counted by the store's clock) and `run_at` (aware) is given; neither means now.
    `expires` is until when it must have started: a time, or a duration counted by the store's clock.
    """

    delay: timedelta | None = None
    run_at: datetime | None = None
    expires: timedelta | datetime | None = None
    job_id: str | None = None


NOW: Final = Placement()
_PLACEMENT: Final = frozenset(fields_dict(Placement))
_BEHAVIOUR: Final = frozenset(fields_dict(JobOptions))


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
    if behaviour:
        options = evolve(options, **behaviour)
    if len(behaviour) < len(given):
        placement = _parse_placement(given, placement)
    return options, placement


def _parse_placement(given: Mapping[str, Any], default: Placement) -> Placement:
    if given.get("delay") is not None and given.get("run_at") is not None:
        raise ConfigurationError("give delay or run_at, not both")
    delay, run_at = default.delay, default.run_at
    if "delay" in given:
        delay, run_at = _delay(given["delay"]), None
    if given.get("run_at") is not None:
        delay, run_at = None, _aware(given["run_at"], "run_at")
    expires = _expires(given["expires"]) if "expires" in given else default.expires
    if isinstance(expires, timedelta) and delay is not None and expires <= delay:
        raise ConfigurationError(f"expires ({expires}) must be longer than delay ({delay}), or the job never starts")
    job_id = given.get("job_id", default.job_id)
    return Placement(
        delay=delay, run_at=run_at, expires=expires, job_id=None if job_id is None else check_job_id(job_id)
    )


def _delay(value: Duration | None) -> timedelta | None:
    return None if value is None else parse_duration(value, field="delay")


def _expires(value: Duration | datetime | None) -> timedelta | datetime | None:
    if value is None:
        return None
    return _aware(value, "expires") if isinstance(value, datetime) else _longer_than_zero(value, "expires")


def _aware(value: datetime, name: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"{name} must be a datetime with a time zone, got {value!r}")
    return value


def check_job_id(value: str) -> str:
    """Return the id if it can name a job.

    Raises:
        ConfigurationError: it is no string, is empty, too long, or holds control characters.
    """
    return _check_word(value, "job_id", LONGEST_ID)


def check_name(value: str, kind: str) -> str:
    """Return the name of a queue or job if it is one: 1 to 255 characters, none of them a control character.

    Raises:
        ConfigurationError: it is not.
    """
    return _check_word(value, kind, LONGEST_NAME)


def _check_word(value: str, kind: str, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise ConfigurationError(f"{kind} must be a string of 1 to {longest} characters, got {value!r}")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ConfigurationError(f"{kind} must hold no control characters, got {value!r}")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise ConfigurationError(f"{kind} must be valid unicode, got {value!r}")
    return value


def _longer_than_zero(value: Duration, name: str) -> timedelta:
    duration = parse_duration(value, field=name)
    if not duration:
        raise ConfigurationError(f"{name} must be longer than zero")
    return duration


def _lock_duration(value: Duration) -> timedelta:
    return _longer_than_zero(value, "lock_duration")


def _stalled_interval(value: Duration) -> timedelta:
    return _longer_than_zero(value, "stalled_interval")


def _retention_interval(value: Duration) -> timedelta:
    return _longer_than_zero(value, "retention_interval")


def _poll_interval(value: Duration) -> timedelta:
    return _longer_than_zero(value, "poll_interval")


def _max_unresponsive(value: Duration) -> timedelta:
    return _longer_than_zero(value, "max_unresponsive")


def _shutdown_grace(value: Duration) -> timedelta:
    return parse_duration(value, field="shutdown_grace")


def _prefetch(_: object, attribute: Attribute[Any], value: int | str) -> None:
    if value == "auto":
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f'{attribute.name} must be "auto" or a whole number of at least 0, got {value!r}')


@frozen
class WorkerOptions:
    """How a worker works.

    Attributes:
        concurrency: how many jobs run at once.
        prefetch: how many jobs to hold ready beyond that; "auto" measures what keeps the slots busy.
        lifo: fetch the newest job of a priority first.
        lock_duration: how long a job stays with a worker that gives no sign of life.
        stalled_interval: how often to look for jobs of workers that died.
        max_stalled: a job that stalled more often than this fails.
        retention_interval: how often to remove settled jobs that are to be kept no longer.
        shutdown_grace: how long a stopping worker waits for its running jobs before it hands them back.
        poll_interval: how often an idle worker looks in spite of hearing nothing.
        max_unresponsive: a process whose event loop does not run for so long dumps its stacks and exits.
        max_jobs: how many jobs to run in all; None: no end.
    """

    concurrency: int = field(default=10, validator=_is_count)
    prefetch: int | Literal["auto"] = field(default="auto", validator=_prefetch)
    lifo: bool = field(default=False, validator=_is_bool)
    lock_duration: timedelta = field(default=timedelta(seconds=30), converter=_lock_duration)
    stalled_interval: timedelta = field(default=timedelta(seconds=5), converter=_stalled_interval)
    max_stalled: int = field(default=3, validator=_is_not_negative)
    retention_interval: timedelta = field(default=timedelta(minutes=1), converter=_retention_interval)
    shutdown_grace: timedelta = field(default=timedelta(seconds=30), converter=_shutdown_grace)
    poll_interval: timedelta = field(default=timedelta(seconds=5), converter=_poll_interval)
    max_unresponsive: timedelta = field(default=timedelta(seconds=60), converter=_max_unresponsive)
    max_jobs: int | None = field(default=None, validator=optional(_is_count))


class WorkerKeywords(TypedDict, total=False, closed=True):
    """The keyword options that ``app.worker`` and ``app.run`` take; see `WorkerOptions`."""

    concurrency: int
    prefetch: int | Literal["auto"]
    lifo: bool
    lock_duration: Duration
    stalled_interval: Duration
    max_stalled: int
    retention_interval: Duration
    shutdown_grace: Duration
    poll_interval: Duration
    max_unresponsive: Duration
    max_jobs: int | None


def parse_worker_keywords(keywords: WorkerKeywords) -> WorkerOptions:
    """Turn keywords into options.

    Raises:
        ConfigurationError: an unknown option, or a value out of range.
    """
    known = fields_dict(WorkerOptions)
    for name in keywords:
        if name not in known:
            raise ConfigurationError(f"unknown worker option {name!r}: {did_you_mean(name, known)}")
    return WorkerOptions(**cast("dict[str, Any]", keywords))
