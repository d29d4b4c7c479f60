"""Faults in limits, in rates, and in the turns of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.limits import MemoryLimits
from conveyor._builtin.memory.records import microseconds
from conveyor.model.limits import NO_LIMITS, QueueLimits
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.guards import Guard
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt, Want


class _Guarded(MemoryJobs):
    """Does something wrong with the limits of what is fetched from, and fetches then."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        for queue in self._tables.existing([want.queue_name for want in wants]):
            if queue.guard is not None:
                await self.spoil(queue.guard)
        return await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)

    async def spoil(self, guard: Guard) -> None:
        """Overridden by each fault."""


class CheckedBeforeTheFetch(MemoryJobs):
    """Counts first and fetches later; others may have fetched meanwhile."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        checked = [evolve(want, limit=min(want.limit, self._room(want))) for want in wants]
        await checkpoint()
        held = {queue.guard: queue.guard.limits for queue in self._tables.queues.values() if queue.guard is not None}
        for guard in held:
            guard.limits = NO_LIMITS
        jobs = await super().fetch_jobs(checked, worker_id, lock_duration, fetch_number=fetch_number)
        for guard, limits in held.items():
            guard.limits = limits
        return jobs

    def _room(self, want: Want) -> int:
        (queue,) = self._tables.existing([want.queue_name])
        limits = NO_LIMITS if queue.guard is None else queue.guard.limits
        most = limits.max_global_concurrency or 1
        return max(most - len(queue.by_state[JobState.ACTIVE]), 0)


class CancelKeepsThePlace(MemoryJobs):
    """Counts a run for ever that was cancelled."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        record = self._tables.job(job_id)
        was_active = record.state is JobState.ACTIVE
        cancelled = await super().cancel_job(job_id, reason)
        if was_active and record.queue.guard is not None:
            record.queue.guard.note_start(record)
        return cancelled


class FullNamesHoldUpOthers(_Guarded):
    """Takes the limit of a name for one of the queue."""

    async def spoil(self, guard: Guard) -> None:
        for named in guard.limits.names.values():
            guard.limits = QueueLimits(max_global_concurrency=named.concurrency)


class RunningJobsNotCounted(MemoryLimits):
    """Counts only what starts after the limit was set."""

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        await super().set_limits(queue_name, limits)
        guard = self._tables.queue(queue_name).guarded()
        guard.active.clear()


class WindowsBeginAnew(_Guarded):
    """Forgets a whole window when its first start is old: two windows may lie side by side."""

    async def spoil(self, guard: Guard) -> None:
        limiter, now = guard.limits.limiter, microseconds(self._tables.now())
        for rate in guard.rates.values():
            if limiter is not None and rate.starts and rate.starts[0][0] + limiter.per_micros <= now:
                rate.starts.clear()
                rate.level = 0


class StartsForgotten(MemoryLimits):
    """Forgets what started when another limit is set."""

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        await super().set_limits(queue_name, limits)
        self._tables.queue(queue_name).guarded().rates.clear()


class RoomNotTold(MemoryLimits):
    """Lets those poll who wait for a rate."""

    async def get_next_room_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        return None


class FirstComeFirstServed(_Guarded):
    """Gives a group every turn until nothing of it waits."""

    async def spoil(self, guard: Guard) -> None:
        for group in guard.groups.values():
            if group.is_in_round:
                group.at = guard.at = 0
                guard.put_back(group)


class SizeNotAsked(MemoryJobs):
    """Adds to a group whatever its size."""

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        return await super().save_jobs([_unlimited(job) for job in jobs])


def _unlimited(job: NewJob) -> NewJob:
    group = job.options.group
    if group is None:
        return job
    return evolve(job, options=evolve(job.options, group=evolve(group, max_size=None)))
