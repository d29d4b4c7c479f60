"""Schedules: each tick fires once at most, as its policies say, and the last of them in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.features import PlannedSchedule
    from tests.simulation.history import Event
    from tests.simulation.plan import Plan

__all__ = ["TickRules"]

ALMOST: Final = 1e-4


@define
class _Schedule:
    """One schedule: what its ticks are counted from, which fired, and which of its jobs have not ended."""

    planned: PlannedSchedule
    anchor_at: float = 0.0
    last: int = 0
    fired: set[int] = field(factory=set)
    live: set[str] = field(factory=set)


class TickRules:
    """Hears every event in order; `ended_as` says how a job ended, if it has."""

    def __init__(self, plan: Plan, ended_as: Callable[[str], str], report: Callable[[Event, str], None]) -> None:
        planned = plan.features.schedules if plan.features is not None else ()
        self._schedules = {one.id: _Schedule(one) for one in planned}
        self._ended_as = ended_as
        self._report = report

    def hear(self, event: Event) -> None:
        """Take the next event."""
        if event.kind == "scheduled":
            schedule_id, anchor = event.detail.split()
            self._schedules[schedule_id].anchor_at = float(anchor)
        elif event.kind == "ticked":
            schedule_id, outcome, tick_at, at = event.detail.split()
            schedule = self._schedules[schedule_id]
            self._check_tick(event, schedule, float(tick_at), float(at))
            self._check_overlap(event, schedule, outcome)
        elif event.kind == "added" and "@" in event.job_id:
            self._schedules[event.job_id.partition("@")[0]].live.add(event.job_id)

    def check_end(self, report: Callable[[str], None]) -> None:
        """Judge what became of all ticks."""
        for schedule_id, schedule in self._schedules.items():
            if len(schedule.fired) != schedule.planned.limit:
                report(f"end {schedule_id}: {len(schedule.fired)} of {schedule.planned.limit} ticks fired")

    def _check_tick(self, event: Event, schedule: _Schedule, tick_at: float, at: float) -> None:
        every = schedule.planned.every_seconds
        number = round((tick_at - schedule.anchor_at) / every)
        if abs(schedule.anchor_at + number * every - tick_at) > ALMOST or tick_at > at + ALMOST:
            self._report(event, f"fired for {tick_at:.4f}, which is no tick that was due")
        if number <= schedule.last:
            self._report(event, f"tick {number} fired after tick {schedule.last}")
        let_go = range(schedule.last + 1, number)
        due_count = int((at - schedule.anchor_at) / every + ALMOST) - schedule.last
        is_capped = due_count > schedule.planned.limit - len(schedule.fired)
        is_late = schedule.anchor_at + (number + 1) * every <= at + ALMOST
        if let_go and schedule.planned.missed == "all" and not is_capped:
            self._report(event, f"tick {let_go[0]} was never fired")
        elif is_late and schedule.planned.missed != "all":
            self._report(event, f"tick {number} fired though a later one was due")
        schedule.last = number

    def _check_overlap(self, event: Event, schedule: _Schedule, outcome: str) -> None:
        planned = schedule.planned
        schedule.live = {job_id for job_id in schedule.live if not self._ended_as(job_id)}
        if outcome == "fired":
            schedule.fired.add(schedule.last)
            if planned.overlap != "queue" and schedule.live:
                self._report(event, f"fired beside {' '.join(sorted(schedule.live))}")
        elif outcome != "skipped" or planned.overlap != "skip" or not schedule.live:
            self._report(event, f"tick {schedule.last} was {outcome}")
        if len(schedule.fired) > planned.limit:
            self._report(event, f"fired more often than {planned.limit} times")
