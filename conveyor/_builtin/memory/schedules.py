"""The schedules facet of the memory store."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from conveyor._builtin.memory import changes
from conveyor._builtin.memory.adding import add_jobs
from conveyor.errors import ScheduleNotFoundError
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added
from conveyor.model.schedules.firing import (
    REPLACED,
    job_by_hand,
    paused,
    plan_firing,
    refusal,
    resumed,
    upserted,
    with_job,
)
from conveyor.model.schedules.values import TickReport, UpsertOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.job import NewJob
    from conveyor.model.schedules.values import ScheduleData, ScheduleSpec, TickReceipt, UpsertReceipt

__all__ = ["MemorySchedules"]


class MemorySchedules:
    """Jobs that are added again and again. See `conveyor.contracts.store.schedules`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._schedules: dict[str, ScheduleData] = {}
        # Those that fire, soonest first; one that has changed since is not the one in `_schedules` any more.
        self._due: list[tuple[datetime, int, ScheduleData]] = []
        self._number = count()

    async def upsert_schedules(
        self, specs: Sequence[ScheduleSpec], /, *, is_declared: bool = False
    ) -> Sequence[UpsertReceipt]:
        """Make these schedules, or change those that are there."""
        now = self._tables.now()
        receipts: list[UpsertReceipt] = []
        for spec in specs:
            receipt = upserted(self._schedules.get(spec.id), spec, now, is_declared=is_declared)
            self._keep(receipt.schedule)
            receipts.append(receipt)
        self._tell(*(receipt.schedule for receipt in receipts if receipt.outcome is not UpsertOutcome.UNCHANGED))
        return receipts

    async def get_schedule(self, schedule_id: str, /) -> ScheduleData | None:
        """Return the schedule."""
        return self._schedules.get(schedule_id)

    async def list_schedules(self, *, after: str = "", limit: int = 1000) -> Sequence[ScheduleData]:
        """Return schedules by id."""
        ids = sorted(self._schedules)
        start = bisect_right(ids, after)
        return [self._schedules[id] for id in ids[start : start + max(limit, 0)]]

    async def pause_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let a schedule fire no more."""
        return self._keep(paused(self._find(schedule_id), self._tables.now()))

    async def resume_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let it fire again."""
        schedule = self._keep(resumed(self._find(schedule_id), self._tables.now()))
        self._tell(schedule)
        return schedule

    async def remove_schedule(self, schedule_id: str, /) -> None:
        """Delete a schedule."""
        del self._schedules[self._find(schedule_id).id]

    async def run_schedule(self, schedule_id: str, job_id: str, /) -> ScheduleData:
        """Add a job of the schedule now."""
        schedule = self._find(schedule_id)
        job = job_by_hand(schedule, job_id)
        if refused := self._add([job]):
            raise refusal(job, refused[job.id])
        return self._keep(with_job(schedule, job_id, self._tables.now(), self._live_ids(schedule)))

    async def fire_schedules(self, *, limit: int = 100) -> TickReport:
        """Fire the schedules that are due."""
        now = self._tables.now()
        ticks: list[TickReceipt] = []
        for _ in range(limit):
            schedule = self._head()
            if schedule is None or schedule.due_at is None or schedule.due_at > now:
                break
            heappop(self._due)
            ticks += self._fire(schedule, now)
        head = self._head()
        return TickReport(now, tuple(ticks), None if head is None else head.due_at)

    def _fire(self, schedule: ScheduleData, now: datetime) -> list[TickReceipt]:
        firing = plan_firing(schedule, now)
        live_ids = self._live_ids(schedule)
        for job_id in firing.cancelled_ids(live_ids):
            changes.cancel(self._tables, job_id, REPLACED)
        after, ticks = firing.done(live_ids, self._add(firing.jobs(live_ids)))
        self._keep(after)
        return ticks

    def _add(self, jobs: Sequence[NewJob]) -> dict[str, Added]:
        """Add jobs; return those that were not added, by their ids."""
        return {one.job_id: one.outcome for one in add_jobs(self._tables, jobs) if one.outcome is not Added.ADDED}

    def _live_ids(self, schedule: ScheduleData) -> set[str]:
        records = (self._tables.jobs.get(job_id) for job_id in schedule.state.open_job_ids)
        return {record.id for record in records if record is not None and not record.state.is_settled}

    def _find(self, schedule_id: str) -> ScheduleData:
        schedule = self._schedules.get(schedule_id)
        if schedule is None:
            raise ScheduleNotFoundError(schedule_id)
        return schedule

    def _keep(self, schedule: ScheduleData) -> ScheduleData:
        self._schedules[schedule.id] = schedule
        if schedule.due_at is not None:
            heappush(self._due, (schedule.due_at, next(self._number), schedule))
        return schedule

    def _head(self) -> ScheduleData | None:
        while self._due and self._schedules.get(self._due[0][2].id) is not self._due[0][2]:
            heappop(self._due)
        return self._due[0][2] if self._due else None

    def _tell(self, *schedules: ScheduleData) -> None:
        self._tables.notifier.tell(
            NotificationKind.SCHEDULED, dict.fromkeys(schedule.spec.queue_name for schedule in schedules)
        )
