"""Faults in removing settled jobs that are to be kept no longer."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.jobs import MemoryJobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.memory.records import JobRecord
    from conveyor.model.retention import Retention


class LiveJobsOutdated(MemoryJobs):
    """Counts a job's age from the moment it was added, whether it has ended or not."""

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        removed = await super().remove_outdated_jobs(queue_names, retention, limit=limit)
        now, max_age = self._tables.now(), retention.max_age
        old = [one for one in self._tables.jobs.values() if max_age is not None and now - one.created_at >= max_age]
        for record in old:
            self._tables.remove(record)
        return removed + len(old)


class AgeExceeded(MemoryJobs):
    """Keeps a job until it is older than it may be."""

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        if retention.max_age is not None:
            retention = evolve(retention, max_age=retention.max_age + timedelta(microseconds=1))
        return await super().remove_outdated_jobs(queue_names, retention, limit=limit)


class OwnDurationIgnored(MemoryJobs):
    """Knows what the app keeps, and nothing of what a job says."""

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        for queue in self._tables.existing(queue_names):
            queue.outdating.clear()
        return await super().remove_outdated_jobs(queue_names, retention, limit=limit)


class ByNumber(MemoryJobs):
    """Removes all but so many at once, those that ended first. Not a fault, but a place for some."""

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        if retention.max_count is None:
            return await super().remove_outdated_jobs(queue_names, retention, limit=limit)
        settled = [one for one in self._tables.jobs.values() if one.state.is_settled and one.queue.name in queue_names]
        surplus = self.in_order(settled)[: max(len(settled) - retention.max_count, 0)]
        for record in surplus:
            self._tables.remove(record)
        return len(surplus)

    def in_order(self, settled: list[JobRecord]) -> list[JobRecord]:
        return sorted(settled, key=attrgetter("finished_at"))


class NumberOfAllQueues(ByNumber):
    """Keeps so many jobs of all queues together."""


class NewestGoFirst(ByNumber):
    """Keeps the jobs that ended first."""

    def in_order(self, settled: list[JobRecord]) -> list[JobRecord]:
        return super().in_order(settled)[::-1]


class OrderedByTheAdd(ByNumber):
    """Keeps the jobs that were added last, whenever they ended."""

    def in_order(self, settled: list[JobRecord]) -> list[JobRecord]:
        return sorted(settled, key=attrgetter("sequence"))
