"""What is kept of jobs that have ended: nothing goes before its time, and in the end nothing stays beyond it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.simulation.plan import RETENTION_SECONDS, JobsById

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.retention import Retention
    from tests.simulation.history import Event, History
    from tests.simulation.plan import Plan

__all__ = ["KeepingRules"]

# Ages are floats here, and whole microseconds in the store.
ALMOST: Final = 1e-4
# A worker looks at an interval, give or take a tenth of it.
LATEST_SECONDS: Final = 1.2 * RETENTION_SECONDS


class KeepingRules:
    """Hears every event in order."""

    def __init__(self, plan: Plan, history: History, report: Callable[[Event, str], None]) -> None:
        self._jobs = JobsById(plan)
        self._retention = None if plan.features is None else plan.features.retention
        self._history = history
        self._report = report

    def hear(self, event: Event) -> None:
        """Take the next event."""
        if event.kind == "outdated":
            state, age, later = event.detail.split()
            if not self._may_go(event.job_id, state, float(age), int(later)):
                self._report(event, f"{state} {age} s ago, before {later} others of its queue, and was removed")

    def check_end(self, report: Callable[[str], None]) -> None:
        """Judge what is left."""
        retention = self._retention
        if retention is None:
            return
        queues = Counter(self._jobs[job_id].queue_name for job_id in self._history.kept)
        for queue_name, count in queues.items():
            if retention.max_count is not None and count > retention.max_count:
                report(f"end {queue_name}: {count} jobs were kept, {retention.max_count} allowed")
        for job_id, age in self._history.kept.items():
            if retention.max_age is not None and age > retention.max_age.total_seconds() + LATEST_SECONDS:
                report(f"end {job_id}: kept for {age:.1f} s, {retention.max_age} allowed")

    def _may_go(self, job_id: str, state: str, age: float, later: int) -> bool:
        keep_seconds = self._jobs[job_id].keep_seconds
        if state == "completed" and keep_seconds is not None and age >= keep_seconds - ALMOST:
            return True
        return self._retention is not None and _is_outdated(self._retention, age, later)


def _is_outdated(retention: Retention, age: float, later: int) -> bool:
    is_old = retention.max_age is not None and age >= retention.max_age.total_seconds() - ALMOST
    return is_old or (retention.max_count is not None and later >= retention.max_count)
