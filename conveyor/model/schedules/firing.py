"""What becomes of a schedule when it is asked for, paused, resumed, or when its time comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from conveyor.errors import DuplicateJobError, GroupFullError
from conveyor.model.job import NewJob
from conveyor.model.queries import Added
from conveyor.model.schedules.ticks import delayed_by_jitter, last_ticks, ticks_after
from conveyor.model.schedules.values import (
    MissedPolicy,
    Overlap,
    ScheduleData,
    ScheduleSpec,
    ScheduleState,
    TickOutcome,
    TickReceipt,
    UpsertOutcome,
    UpsertReceipt,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from conveyor.errors import JobError

__all__ = [
    "REPLACED",
    "Firing",
    "job_by_hand",
    "job_id_of",
    "next_fires",
    "paused",
    "plan_firing",
    "refusal",
    "resumed",
    "schedules_of",
    "tag_of",
    "upserted",
    "with_job",
]

# A schedule whose next tick cannot be told here is looked at again so much later: elsewhere it may be.
PROBLEM_WAIT: Final = timedelta(minutes=1)
# Of the jobs that had not ended, so many of those added last are remembered.
MOST_OPEN: Final = 100
_TAG: Final = "schedule:"
_NONE_REFUSED: Final[Mapping[str, Added]] = MappingProxyType({})
# Why the overlap policy cancelled a job.
REPLACED: Final = "a later job of its schedule took its place"


def tag_of(schedule_id: str) -> str:
    """Return the tag that all jobs of a schedule bear."""
    return f"{_TAG}{schedule_id}"


def schedules_of(tags: Iterable[str]) -> list[str]:
    """Return the ids of the schedules whose tags these are among."""
    return [tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)]


def job_id_of(schedule_id: str, tick: datetime) -> str:
    """Return the id of the job that a tick adds."""
    moment = tick.astimezone(UTC).replace(tzinfo=None)
    return f"{schedule_id}@{moment.isoformat()}Z"


def upserted(known: ScheduleData | None, spec: ScheduleSpec, now: datetime, *, is_declared: bool) -> UpsertReceipt:
    """Return what asking for a schedule makes of the one that is there.

    Its times begin anew where they changed; otherwise it goes on as it was. It stays paused, and keeps its counts.
    """
    declared_at = now if is_declared else None
    if known is None:
        state = _restarted(spec, ScheduleState(now, now, anchor_at=now, declared_at=declared_at), now)
        return UpsertReceipt(UpsertOutcome.ADDED, ScheduleData(spec, state))
    state = evolve(known.state, declared_at=declared_at)
    if known.spec == spec:
        return UpsertReceipt(UpsertOutcome.UNCHANGED, ScheduleData(spec, state))
    state = evolve(state, updated_at=now)
    if not spec.rule.has_times_of(known.spec.rule):
        state = _restarted(spec, state, now)
    return UpsertReceipt(UpsertOutcome.CHANGED, ScheduleData(spec, state))


def paused(schedule: ScheduleData, now: datetime) -> ScheduleData:
    """Return the schedule as one that does not fire."""
    return ScheduleData(schedule.spec, evolve(schedule.state, is_paused=True, updated_at=now))


def resumed(schedule: ScheduleData, now: datetime) -> ScheduleData:
    """Return the schedule as one that fires from now on; the ticks meanwhile were not missed, but meant to be."""
    if not schedule.state.is_paused:
        return schedule
    state = evolve(schedule.state, is_paused=False, updated_at=now)
    return ScheduleData(schedule.spec, _moved_on(schedule.spec, state, now))


def next_fires(schedule: ScheduleData, count: int) -> list[datetime]:
    """Return when it fires next, at most so often; nothing while it is paused, or once it has ended.

    Raises:
        ValueError, KeyError, cronsim.CronSimError: see `ticks_after`.
    """
    spec, state = schedule.spec, schedule.state
    if state.is_paused or state.next_tick_at is None or state.next_run_at is None:
        return []
    left = count if spec.rule.limit is None else min(count, spec.rule.limit - state.fired_count)
    fires: list[datetime] = []
    tick: datetime | None = state.next_tick_at
    ticks = ticks_after(spec.rule, state.anchor_at, state.next_tick_at)
    while tick is not None and len(fires) < left:
        following = next(ticks, None)
        fires.append(delayed_by_jitter(spec.id, spec.rule, tick, following))
        tick = following
    return fires


@frozen
class Firing:
    """What a schedule whose time has come does: its ticks, and how it goes on after them."""

    schedule: ScheduleData
    ticks: tuple[datetime, ...]
    after: ScheduleState

    def jobs(self, live_ids: Collection[str]) -> list[NewJob]:
        """Return what to add."""
        if self.is_skipped(live_ids):
            return []
        return [_job(self.schedule.spec, job_id_of(self.schedule.id, tick)) for tick in self.ticks]

    def is_skipped(self, live_ids: Collection[str]) -> bool:
        """Whether nothing is added, because some of the jobs that had not ended still have not."""
        return bool(self.ticks) and self.schedule.spec.rule.overlap is Overlap.SKIP and bool(live_ids)

    def cancelled_ids(self, live_ids: Collection[str]) -> list[str]:
        """Return the jobs to cancel first, in the order of their ids."""
        return sorted(live_ids) if self.ticks and self.schedule.spec.rule.overlap is Overlap.CANCEL else []

    def done(
        self, live_ids: Collection[str], refused: Mapping[str, Added] = _NONE_REFUSED
    ) -> tuple[ScheduleData, list[TickReceipt]]:
        """Return the schedule as it goes on, and what its ticks did.

        Args:
            live_ids: of the jobs that had not ended, those that still have not, before any is cancelled.
            refused: of the jobs of these ticks, those that were not added, by their ids.
        """
        schedule, state = self.schedule, self.after
        if state.problem is not None:
            note = f"tick {state.next_tick_at}: {state.problem}"
            receipt = TickReceipt(schedule.id, TickOutcome.PROBLEM, state.next_tick_at or state.updated_at, note=note)
            return ScheduleData(schedule.spec, state), [receipt]
        if self.is_skipped(live_ids):
            state = evolve(
                state,
                open_job_ids=tuple(sorted(live_ids)),
                skipped_count=state.skipped_count + len(self.ticks),
            )
            receipts = [TickReceipt(schedule.id, TickOutcome.SKIPPED, tick) for tick in self.ticks]
            return ScheduleData(schedule.spec, state), receipts
        receipts = list(self._receipts(refused))
        fired = [receipt for receipt in receipts if receipt.outcome is TickOutcome.FIRED]
        kept = () if self.cancelled_ids(live_ids) else live_ids
        state = evolve(state, refused_count=state.refused_count + len(receipts) - len(fired))
        state = _with_jobs(schedule.spec, state, fired, kept)
        if _is_used_up(schedule.spec, state):
            state = evolve(state, next_tick_at=None, next_run_at=None)
        return ScheduleData(schedule.spec, state), receipts

    def _receipts(self, refused: Mapping[str, Added]) -> Iterator[TickReceipt]:
        for tick in self.ticks:
            job_id = job_id_of(self.schedule.id, tick)
            outcome = TickOutcome(refused[job_id].value) if job_id in refused else TickOutcome.FIRED
            yield TickReceipt(self.schedule.id, outcome, tick, job_id)


def plan_firing(schedule: ScheduleData, now: datetime) -> Firing:
    """Return what a schedule that is due does now.

    It never raises: a schedule whose times cannot be told must stop no other.
    """
    spec, state = schedule.spec, schedule.state
    if state.next_tick_at is None:
        return Firing(schedule, (), evolve(state, next_run_at=None))
    try:
        due = _due_ticks(schedule, state.next_tick_at, now)
        after = _moved_on(spec, state, due[-1])
    except Exception as exc:  # noqa: BLE001 - whatever is wrong with one schedule is told of, and it alone
        problem = f"{type(exc).__name__}: {exc}"
        return Firing(schedule, (), evolve(state, problem=problem, next_run_at=now + PROBLEM_WAIT))
    return Firing(schedule, tuple(_chosen(schedule, due, now)), after)


def job_by_hand(schedule: ScheduleData, job_id: str) -> NewJob:
    """Return the job that is added when somebody asks for it, whatever the rule says."""
    return _job(schedule.spec, job_id)


def refusal(job: NewJob, outcome: Added) -> JobError:
    """Return why a job by hand was not added."""
    group = job.options.group
    if outcome is Added.GROUP_FULL and group is not None and group.max_size is not None:
        return GroupFullError(group.id, group.max_size, job.id, job.queue_name)
    return DuplicateJobError(job.id, job.id, job.queue_name)


def with_job(schedule: ScheduleData, job_id: str, now: datetime, live_ids: Collection[str]) -> ScheduleData:
    """Return the schedule after a job was added by hand; its times and its limit do not change by that."""
    state = evolve(schedule.state, last_job_id=job_id, last_tick_at=now)
    if schedule.spec.rule.overlap is not Overlap.QUEUE:
        state = evolve(state, open_job_ids=_open_ids(live_ids, [job_id]))
    return ScheduleData(schedule.spec, state)


def _restarted(spec: ScheduleSpec, state: ScheduleState, now: datetime) -> ScheduleState:
    return _moved_on(spec, evolve(state, anchor_at=now), now)


def _moved_on(spec: ScheduleSpec, state: ScheduleState, after: datetime) -> ScheduleState:
    """Return the state with the first tick later than `after`, which may be due already."""
    if _is_used_up(spec, state):
        return evolve(state, next_tick_at=None, next_run_at=None, problem=None)
    ticks = ticks_after(spec.rule, state.anchor_at, after)
    tick = next(ticks, None)
    run_at = None if tick is None else delayed_by_jitter(spec.id, spec.rule, tick, next(ticks, None))
    return evolve(state, next_tick_at=tick, next_run_at=run_at, problem=None)


def _is_used_up(spec: ScheduleSpec, state: ScheduleState) -> bool:
    return spec.rule.limit is not None and state.fired_count >= spec.rule.limit


def _due_ticks(schedule: ScheduleData, first: datetime, now: datetime) -> list[datetime]:
    """Return the last of the ticks that are due, oldest first; at least the first, whose time has come."""
    rule = schedule.spec.rule
    most = rule.missed.most if rule.missed.policy is MissedPolicy.ALL else 1
    # One more, for the last may be put off by its jitter.
    ticks = last_ticks(rule, schedule.state.anchor_at, first, now, most=most + 1)
    following = next(ticks_after(rule, schedule.state.anchor_at, ticks[-1] if ticks else first), None)
    if len(ticks) > 1 and delayed_by_jitter(schedule.id, rule, ticks[-1], following) > now:
        ticks.pop()
    return ticks[-most:] or [first]


def _chosen(schedule: ScheduleData, due: list[datetime], now: datetime) -> list[datetime]:
    rule, state = schedule.spec.rule, schedule.state
    if rule.missed.policy is MissedPolicy.SKIP and now - due[-1] > rule.missed.grace + (rule.jitter or timedelta(0)):
        return []
    left = len(due) if rule.limit is None else rule.limit - state.fired_count
    return due[-left:] if left > 0 else []


def _with_jobs(
    spec: ScheduleSpec, state: ScheduleState, fired: list[TickReceipt], live_ids: Collection[str]
) -> ScheduleState:
    if fired:
        last = fired[-1]
        fired_count = state.fired_count + len(fired)
        state = evolve(state, fired_count=fired_count, last_tick_at=last.tick_at, last_job_id=last.job_id)
    if spec.rule.overlap is Overlap.QUEUE:
        return evolve(state, open_job_ids=())
    return evolve(state, open_job_ids=_open_ids(live_ids, [receipt.job_id for receipt in fired]))


def _open_ids(live_ids: Collection[str], job_ids: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*sorted(live_ids), *job_ids]))[-MOST_OPEN:]


def _job(spec: ScheduleSpec, job_id: str) -> NewJob:
    tag = tag_of(spec.id)
    options = spec.options
    if tag not in options.tags:
        options = evolve(options, tags=(*options.tags, tag))
    return NewJob(job_id, spec.queue_name, spec.name, spec.payload, options, expires=spec.rule.expires)
