"""The whole reference: with schedules that add jobs, and with retention that removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.queries import Added
from conveyor.model.schedules.firing import paused, plan_firing, resumed, upserted
from conveyor.model.states import SETTLED_STATES
from conveyor.testing.conformance.machine.batching import ReferenceBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from conveyor.model.retention import Retention
    from conveyor.model.schedules.values import ScheduleData, ScheduleSpec, TickReceipt, UpsertReceipt
    from conveyor.testing.conformance.machine.tables import ReferenceJob

__all__ = ["WholeReference"]


class WholeReference(ReferenceBatches):
    """What becomes of schedules the model says, as the contract wants it; what is compared is what is made of that."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.schedules: dict[str, ScheduleData] = {}

    def upsert_schedule(self, spec: ScheduleSpec) -> UpsertReceipt:
        """Make a schedule, or change it."""
        receipt = upserted(self.schedules.get(spec.id), spec, self.now(), is_declared=False)
        self.schedules[spec.id] = receipt.schedule
        return receipt

    def change_schedule(self, schedule_id: str, verb: str) -> ScheduleData | str | None:
        """Pause, resume or remove a schedule; return it, None where it is gone, or the name of the error."""
        known = self.schedules.get(schedule_id)
        if known is None:
            return "ScheduleNotFoundError"
        if verb == "remove":
            del self.schedules[schedule_id]
            return None
        self.schedules[schedule_id] = (paused if verb == "pause" else resumed)(known, self.now())
        return self.schedules[schedule_id]

    def fire(self) -> tuple[list[TickReceipt], datetime | None]:
        """Fire what is due; return what the ticks did, and when the next is."""
        ticks: list[TickReceipt] = []
        for schedule in list(self.schedules.values()):
            if schedule.due_at is not None and schedule.due_at <= self.now():
                ticks += self._fire(schedule)
        due = [schedule.due_at for schedule in self.schedules.values() if schedule.due_at is not None]
        return ticks, min(due, default=None)

    def retain(self, queues: Sequence[str], retention: Retention) -> int:
        """Remove what is outdated; return how many."""
        return self._remove([job for queue in queues for job in self._outdated(queue, retention)])

    def _fire(self, schedule: ScheduleData) -> list[TickReceipt]:
        firing = plan_firing(schedule, self.now())
        jobs = [self.find(job_id) for job_id in schedule.state.open_job_ids]
        live = {job.new.id: job for job in jobs if job is not None and job.state not in SETTLED_STATES}
        for job_id in firing.cancelled_ids(live):
            self._cancel(live[job_id])
        answers = self.save(firing.jobs(live))
        refused = {answer.job_id: answer.outcome for answer in answers if answer.outcome is not Added.ADDED}
        self.schedules[schedule.id], ticks = firing.done(live, refused)
        return ticks

    def _outdated(self, queue: str, retention: Retention) -> list[ReferenceJob]:
        settled = sorted(self.select(queue, *SETTLED_STATES), key=lambda job: job.finished_at or self.now())
        surplus = 0 if retention.max_count is None else max(len(settled) - retention.max_count, 0)
        return [job for place, job in enumerate(settled) if place < surplus or self._is_old(job, retention)]

    def _is_old(self, job: ReferenceJob, retention: Retention) -> bool:
        age = None if job.finished_at is None else self.now() - job.finished_at
        return age is not None and retention.max_age is not None and age >= retention.max_age
