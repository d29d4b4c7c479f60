"""JobBuffer: what a program says of a buffer: which jobs, how they are reduced, and when they are flushed."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import field, fields, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.buffers.reducing import check_reduce
from conveyor.model.buffers.values import BufferedJob
from conveyor.model.checks import check_name, is_bool, is_count, longer_than_zero
from conveyor.model.schedules.parsing import parse_rule
from conveyor.model.schedules.ticks import ticks_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from attrs import Attribute

    from conveyor.model.buffers.values import BufferSize
    from conveyor.model.durations import Duration

    Collect: TypeAlias = Callable[[BufferedJob], bool | Awaitable[bool]]
    Reduce: TypeAlias = Callable[[Sequence[BufferedJob]], Sequence[BufferedJob] | Awaitable[Sequence[BufferedJob]]]

__all__ = ["JobBuffer", "ReduceErrorPolicy", "as_job_buffer", "due_at"]

CHUNK: Final = 10_000
UTC_ZONE: Final = "UTC"


class ReduceErrorPolicy(StrEnum):
    """What becomes of jobs whose `reduce` raised."""

    KEEP = "keep"
    ADD_ORIGINALS = "add_originals"
    DEAD_LETTER = "dead_letter"


def _buffer_id(_: object, __: Attribute[str], value: str) -> None:
    check_name(value, "buffer id")


def _is_function(_: object, attribute: Attribute[Any], value: Any) -> None:
    if not callable(value):
        raise ConfigurationError(f"{attribute.name} of a JobBuffer must be a function, got {value!r}")


def _is_reduce(_: object, __: Attribute[Any], value: Any) -> None:
    check_reduce(value, "JobBuffer")


def _is_count_or_none(instance: object, attribute: Attribute[int | None], value: int | None) -> None:
    if value is not None:
        is_count(instance, attribute, value)  # type: ignore[arg-type]  # an Attribute of int is asked its name alone


def _max_age(value: Duration | None) -> timedelta | None:
    return None if value is None else longer_than_zero(value, "max_age of a JobBuffer")


def _idle(value: Duration | None) -> timedelta | None:
    return None if value is None else longer_than_zero(value, "idle of a JobBuffer")


def _policy(value: str) -> ReduceErrorPolicy:
    try:
        return ReduceErrorPolicy(value)
    except ValueError:
        known = ", ".join(ReduceErrorPolicy)
        raise ConfigurationError(f"on_reduce_error of a JobBuffer must be one of {known}, got {value!r}") from None


@frozen
class JobBuffer:
    """A buffer: jobs that it collects wait in it until it is flushed; then `reduce` makes fewer of them.

    Attributes:
        id: 1 to 255 characters; the same in every program that flushes it.
        collect: told of each job that is added in this program; True: it goes into this buffer. May be async.
        reduce: given the jobs in the order in which they came; returns those to add. May be async.
        max_jobs: flush once there are so many.
        max_bytes: flush once their arguments have so many bytes.
        max_age: flush once the oldest has been there so long.
        idle: flush once none has come for so long.
        cron: flush at the ticks of this expression.
        tz: the time zone of `cron`.
        flush_on_shutdown: flush when the app closes, for ten seconds at most.
        on_reduce_error: ``keep`` leaves the jobs in the buffer, and the flush raises; what a trigger flushed is logged
            as an error. ``add_originals`` adds them as they are, ``dead_letter`` as failed jobs; both are logged.
        chunk_size: `reduce` is given at most so many jobs at once.
    """

    id: str = field(validator=_buffer_id)
    collect: Collect = field(validator=_is_function, kw_only=True)
    reduce: Reduce = field(validator=_is_reduce, kw_only=True)
    max_jobs: int | None = field(default=None, validator=_is_count_or_none, kw_only=True)
    max_bytes: int | None = field(default=None, validator=_is_count_or_none, kw_only=True)
    max_age: timedelta | None = field(default=None, converter=_max_age, kw_only=True)
    idle: timedelta | None = field(default=None, converter=_idle, kw_only=True)
    cron: str | None = field(default=None, kw_only=True)
    tz: str = field(default=UTC_ZONE, kw_only=True)
    flush_on_shutdown: bool = field(default=False, validator=is_bool, kw_only=True)
    on_reduce_error: ReduceErrorPolicy = field(default=ReduceErrorPolicy.KEEP, converter=_policy, kw_only=True)
    chunk_size: int = field(default=CHUNK, validator=is_count, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse an expression or a zone that means nothing."""
        if self.cron is not None:
            parse_rule({"cron": self.cron, "tz": self.tz})
        elif self.tz != UTC_ZONE:
            raise ConfigurationError(
                f"tz of a JobBuffer is the time zone of its cron, which it has not; got {self.tz!r}"
            )

    @property
    def has_triggers(self) -> bool:
        """Whether anything flushes it but a call and the end of the app."""
        return any(one is not None for one in (self.max_jobs, self.max_bytes, self.max_age, self.idle, self.cron))


def as_job_buffer(given: object) -> JobBuffer:
    """Return a buffer as one of ours: of another class, whatever it has of a JobBuffer's attributes counts.

    Raises:
        ConfigurationError: it lacks `id`, `collect` or `reduce`, or one of its attributes is not valid.
    """
    if isinstance(given, JobBuffer):
        return given
    if isinstance(given, type):
        raise ConfigurationError(f"add_buffer takes a buffer, not its class: add_buffer({given.__name__}())")
    said = {it.name: getattr(given, it.name) for it in fields(JobBuffer) if hasattr(given, it.name)}
    if missing := [name for name in ("id", "collect", "reduce") if name not in said]:
        raise ConfigurationError(f"add_buffer takes a JobBuffer; {given!r} has no {' and no '.join(missing)}")
    return JobBuffer(**said)


def due_at(buffer: JobBuffer, size: BufferSize) -> datetime | None:
    """Return when a buffer of this size is to be flushed: a time gone by means now; None: nothing says so yet."""
    if _is_reached(buffer.max_jobs, size.jobs) or _is_reached(buffer.max_bytes, size.bytes):
        return size.oldest_at
    times: list[datetime] = []
    if buffer.max_age is not None:
        times.append(size.oldest_at + buffer.max_age)
    if buffer.idle is not None:
        times.append(size.newest_at + buffer.idle)
    if buffer.cron is not None:
        rule = parse_rule({"cron": buffer.cron, "tz": buffer.tz})
        times.extend(islice(ticks_after(rule, size.oldest_at, size.oldest_at), 1))
    return min(times, default=None)


def _is_reached(most: int | None, count: int) -> bool:
    return most is not None and count >= most
