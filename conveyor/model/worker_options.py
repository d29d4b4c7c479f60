"""Options of workers with every default, parsed once at the door."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from attrs import field, fields_dict, frozen
from attrs.validators import optional
from typing_extensions import TypedDict

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.checks import is_bool, is_count, is_not_negative, longer_than_zero
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.limits import GroupLimits, QueueLimits, RateLimit

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["WorkerKeywords", "WorkerOptions", "parse_worker_keywords"]


def _lock_duration(value: Duration) -> timedelta:
    return longer_than_zero(value, "lock_duration")


def _stalled_interval(value: Duration) -> timedelta:
    return longer_than_zero(value, "stalled_interval")


def _retention_interval(value: Duration) -> timedelta:
    return longer_than_zero(value, "retention_interval")


def _poll_interval(value: Duration) -> timedelta:
    return longer_than_zero(value, "poll_interval")


def _max_unresponsive(value: Duration) -> timedelta:
    return longer_than_zero(value, "max_unresponsive")


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
        max_global_concurrency: how many jobs of each of its queues run at once on all workers; declared, see `limits`.
        limiter: how many jobs of each of its queues start in a time; declared.
        group: what holds for each group of its queues; declared.
    """

    concurrency: int = field(default=10, validator=is_count)
    prefetch: int | Literal["auto"] = field(default="auto", validator=_prefetch)
    lifo: bool = field(default=False, validator=is_bool)
    lock_duration: timedelta = field(default=timedelta(seconds=30), converter=_lock_duration)
    stalled_interval: timedelta = field(default=timedelta(seconds=1), converter=_stalled_interval)
    max_stalled: int = field(default=3, validator=is_not_negative)
    retention_interval: timedelta = field(default=timedelta(minutes=1), converter=_retention_interval)
    shutdown_grace: timedelta = field(default=timedelta(seconds=30), converter=_shutdown_grace)
    poll_interval: timedelta = field(default=timedelta(seconds=5), converter=_poll_interval)
    max_unresponsive: timedelta = field(default=timedelta(seconds=60), converter=_max_unresponsive)
    max_jobs: int | None = field(default=None, validator=optional(is_count))
    max_global_concurrency: int | None = None
    limiter: RateLimit | None = None
    group: GroupLimits | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse limits that are out of range."""
        _ = self.limits

    @property
    def limits(self) -> QueueLimits:
        """What it declares for each of its queues: a queue with other limits refuses the worker."""
        return QueueLimits(self.max_global_concurrency, self.limiter, self.group)


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
    max_global_concurrency: int | None
    limiter: RateLimit | None
    group: GroupLimits | None


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
