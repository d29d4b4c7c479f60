"""Faults in firing schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor._builtin.memory.schedules import MemorySchedules
from conveyor.model.schedules.values import Overlap, ScheduleData
from tests.conformance.broken.bench import muted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.schedules.values import ScheduleSpec, TickReceipt, TickReport, UpsertReceipt


class TimesNotMovedOn(MemorySchedules):
    """Adds a tick's job, and leaves the schedule due; the job's id alone keeps it from being added twice."""

    def _fire(self, schedule: ScheduleData, now: datetime) -> list[TickReceipt]:
        ticks = super()._fire(schedule, now)
        self._keep(schedule)
        return ticks


class OpenJobsForgotten(MemorySchedules):
    """Never knows of a job that has not ended."""

    def _live_ids(self, schedule: ScheduleData) -> set[str]:
        return set()


class OldJobsKept(MemorySchedules):
    """Adds the new job, and leaves the old one as it is."""

    def _fire(self, schedule: ScheduleData, now: datetime) -> list[TickReceipt]:
        rule = schedule.spec.rule
        if rule.overlap is Overlap.CANCEL:
            spec = evolve(schedule.spec, rule=evolve(rule, overlap=Overlap.QUEUE))
            schedule = ScheduleData(spec, schedule.state)
        return super()._fire(schedule, now)


class PausesForgotten(MemorySchedules):
    """Lets a schedule be asked for again, and fires it whether it was paused or not."""

    async def upsert_schedules(
        self, specs: Sequence[ScheduleSpec], /, *, is_declared: bool = False
    ) -> Sequence[UpsertReceipt]:
        for spec in specs:
            if spec.id in self._schedules:
                await self.resume_schedule(spec.id)
        return await super().upsert_schedules(specs, is_declared=is_declared)


class LookApartFromFiring(MemorySchedules):
    """Looks for what is due, lets others in, and fires that."""

    async def fire_schedules(self, *, limit: int = 100) -> TickReport:
        head = self._head()
        await checkpoint()
        if head is not None and head.due_at is not None and head.due_at <= self._tables.now():
            self._keep(head)
        return await super().fire_schedules(limit=limit)


class JobsRemovedWithTheirSchedule(MemorySchedules):
    """Deletes a schedule with the jobs that bear its tag."""

    async def remove_schedule(self, schedule_id: str, /) -> None:
        await super().remove_schedule(schedule_id)
        tag = f"schedule:{schedule_id}"
        for record in [one for one in self._tables.jobs.values() if tag in one.options.tags]:
            self._tables.remove(record)


class NewTimesNotHeard(MemorySchedules):
    """Makes and changes schedules in silence."""

    async def upsert_schedules(
        self, specs: Sequence[ScheduleSpec], /, *, is_declared: bool = False
    ) -> Sequence[UpsertReceipt]:
        with muted(self._tables):
            return await super().upsert_schedules(specs, is_declared=is_declared)
