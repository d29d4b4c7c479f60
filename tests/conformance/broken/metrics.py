"""Faults in counting runs, and in adding up what was counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.metrics import MemoryMetrics
from conveyor.model.metrics import MINUTE, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import JobData
    from conveyor.model.metrics import Metrics
    from conveyor.model.queries import Want
    from conveyor.model.settlement import Settlement, SettleReport


class RepeatedEndsCounted(MemoryJobs):
    """Counts all that is not refused, also what was applied before."""

    async def settle_jobs(
        self,
        settlements: Sequence[Settlement],
        wants: Sequence[Want] = (),
        worker_id: str = "",
        lock_duration: timedelta | None = None,
        /,
        *,
        fetch_number: int = 0,
    ) -> SettleReport:
        counts = self._tables.run_counts
        before = {span: dict(counts_of) for span, counts_of in counts.by_span.items()}
        report = await super().settle_jobs(settlements, wants, worker_id, lock_duration, fetch_number=fetch_number)
        refused = {refusal.job_id for refusal in report.refused}
        counts.by_span = before
        counts.add(tally(one for one in settlements if one.job_id not in refused), self._tables.now())
        return report


class StallsNotCounted(MemoryJobs):
    """Forgets the runs whose workers died."""

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        counts = self._tables.run_counts
        before = {span: dict(counts_of) for span, counts_of in counts.by_span.items()}
        jobs = await super().reclaim_stalled_jobs(max_stalled, limit=limit)
        counts.by_span = before
        return jobs


class OldMinutesDropped(MemoryMetrics):
    """Throws away what it should add up."""

    async def roll_up(
        self, minutes_kept: timedelta | None, hours_kept: timedelta | None, /, *, limit: int = 1000
    ) -> int:
        counts = self._tables.run_counts.by_span
        before = set(counts[MINUTE])
        moved = await super().roll_up(minutes_kept, None, limit=limit)
        for span in counts:
            if span != MINUTE:
                counts[span].clear()
        return moved if before else 0


class YoungHoursAddedUp(MemoryMetrics):
    """Counts the age of an hour from its first minute."""

    async def roll_up(
        self, minutes_kept: timedelta | None, hours_kept: timedelta | None, /, *, limit: int = 1000
    ) -> int:
        kept = None if minutes_kept is None else minutes_kept - timedelta(hours=1)
        return await super().roll_up(kept, hours_kept, limit=limit)


class WindowsIgnored(MemoryMetrics):
    """Tells all it has, however short the window."""

    async def get_metrics(self, window: timedelta | None, /, *, queue_names: Sequence[str] = ()) -> Metrics:
        return await super().get_metrics(None, queue_names=queue_names)
