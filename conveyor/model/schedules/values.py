"""Schedules as stores keep them: which job, when, by which rules, and what has come of it so far."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import Attribute, field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.checks import is_count
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.options import JobOptions
from conveyor.model.schedules.words import rule_in_words

__all__ = [
    "Missed",
    "MissedPolicy",
    "Overlap",
    "ScheduleData",
    "ScheduleRule",
    "ScheduleSpec",
    "ScheduleState",
    "TickOutcome",
    "TickReceipt",
    "TickReport",
    "UpsertOutcome",
    "UpsertReceipt",
]

# One tick adds them in one step, which keeps other writers waiting.
MOST_AT_ONCE: Final = 1000


class Overlap(StrEnum):
    """What a tick does while a job of its schedule has not ended: add another, add none, or cancel the old one."""

    QUEUE = "queue"
    SKIP = "skip"
    CANCEL = "cancel"


class MissedPolicy(StrEnum):
    """Which of the ticks that nobody was there to fire are made up for: none, the last one, or several."""

    SKIP = "skip"
    ONE = "one"
    ALL = "all"


def _policy(value: MissedPolicy | str) -> MissedPolicy:
    try:
        return MissedPolicy(value)
    except ValueError:
        raise ConfigurationError(f"missed must be one of {', '.join(MissedPolicy)}, got {value!r}") from None


def _grace(value: Duration) -> timedelta:
    return parse_duration(value, field="grace")


def _is_bounded(_: object, attribute: Attribute[int], value: int) -> None:
    is_count(_, attribute, value)
    if value > MOST_AT_ONCE:
        raise ConfigurationError(f"{attribute.name} must be at most {MOST_AT_ONCE}, got {value}")


@frozen
class Missed:
    """What becomes of ticks that nobody was there to fire, because no worker ran.

    Attributes:
        policy: ``"one"`` fires the last of those that are due, ``"all"`` several of them, and ``"skip"`` the last one
            only where it is not late.
        most: how many ``"all"`` fires at once; the ticks before them are let go.
        grace: how late a tick may be that ``"skip"`` still fires.
    """

    policy: MissedPolicy = field(default=MissedPolicy.ONE, converter=_policy)
    most: int = field(default=100, validator=_is_bounded)
    grace: timedelta = field(default=timedelta(minutes=1), converter=_grace)


@frozen
class ScheduleRule:
    """When ticks are, and what each does. Made by `parse_rule`, which checks it.

    Attributes:
        every: the time from tick to tick, counted from `start_at`, else from when the rule was made; or
        cron: an expression of five fields, or of six with seconds first, and
        tz: the zone whose clock it means.
        start_at: no tick is before it.
        end_at: no tick is at it or after it.
        limit: after so many jobs it ends.
        jitter: each tick fires up to so much later, never after the next tick; for one tick it is always the same.
        expires: how long after a tick its job may start at the latest.
    """

    every: timedelta | None = None
    cron: str | None = None
    tz: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    limit: int | None = None
    jitter: timedelta | None = None
    overlap: Overlap = Overlap.QUEUE
    missed: Missed = field(factory=Missed)
    expires: timedelta | None = None

    def has_times_of(self, other: ScheduleRule) -> bool:
        """Whether both mean the same ticks."""
        return self._times == other._times

    @property
    def _times(self) -> tuple[object, ...]:
        return (self.every, self.cron, self.tz, self.start_at, self.end_at, self.limit, self.jitter)


@frozen
class ScheduleSpec:
    """A schedule as it is asked for: its stable id, the job that each tick adds, and its rule."""

    id: str
    queue_name: str
    name: str
    payload: bytes
    options: JobOptions
    rule: ScheduleRule


@frozen
class ScheduleState:
    """What has come of a schedule.

    Attributes:
        anchor_at: what ticks are counted from; none is at it or before it.
        declared_at: when a program that declares it in code was opened last; None: it was made at run time.
        next_tick_at: the next tick; None: it has ended.
        next_run_at: when that fires, with its jitter.
        fired_count: how many jobs its ticks added.
        skipped_count: how many ticks added none, because a job of the schedule had not ended.
        refused_count: how many ticks added none, because their group was full, or another job had their id.
        last_tick_at: the tick of `last_job_id`; that of a job asked for by hand is when it was asked for.
        open_job_ids: jobs that had not ended when a tick looked last; kept where the overlap policy asks for it.
        problem: why the next tick could not be told when it was looked for last; it is looked for again.
    """

    created_at: datetime
    updated_at: datetime
    anchor_at: datetime
    declared_at: datetime | None = None
    is_paused: bool = False
    next_tick_at: datetime | None = None
    next_run_at: datetime | None = None
    fired_count: int = 0
    skipped_count: int = 0
    refused_count: int = 0
    last_tick_at: datetime | None = None
    last_job_id: str | None = None
    open_job_ids: tuple[str, ...] = ()
    problem: str | None = None


@frozen
class ScheduleData:
    """A schedule as the store knows it."""

    spec: ScheduleSpec
    state: ScheduleState

    @property
    def id(self) -> str:
        """Its stable id."""
        return self.spec.id

    @property
    def in_words(self) -> str:
        """When its ticks are, in one line, such as ``at 09:00 on Monday through Friday (Europe/Berlin)``."""
        return rule_in_words(self.spec.rule)

    @property
    def due_at(self) -> datetime | None:
        """When a worker has to look at it next; None: never, because it is paused or has ended."""
        return None if self.state.is_paused else self.state.next_run_at


class UpsertOutcome(StrEnum):
    """What became of a schedule that was asked for."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@frozen
class UpsertReceipt:
    """What became of it, and the schedule as it is now."""

    outcome: UpsertOutcome
    schedule: ScheduleData


class TickOutcome(StrEnum):
    """What a tick did: it added a job; or it added none: because of the overlap policy, because another job had its
    id, because its group was full, or because the tick could not be told.
    """

    FIRED = "fired"
    SKIPPED = "skipped"
    DUPLICATE = "duplicate"
    GROUP_FULL = "group_full"
    PROBLEM = "problem"


@frozen
class TickReceipt:
    """What one tick did; `note` says which tick could not be told, and why."""

    schedule_id: str
    outcome: TickOutcome
    tick_at: datetime
    job_id: str = ""
    note: str = ""


@frozen
class TickReport:
    """What the ticks did that were due at `at`, the store's now, and when the next is.

    `next_run_at` is None where there is no other, and not after `at` where more are due than were asked for.
    """

    at: datetime
    ticks: tuple[TickReceipt, ...]
    next_run_at: datetime | None
