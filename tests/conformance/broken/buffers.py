"""Faults in buffers: what is lost, doubled or forgotten between the steps of a flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from conveyor._builtin.memory.buffers import MemoryBuffers, _Row
from conveyor.errors import BufferTakeLostError
from conveyor.model.buffers.values import BufferPlace, FlushPlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from conveyor.model.buffers.values import KeptJob
    from conveyor.model.job import JobData
    from conveyor.model.queries import AddReceipt


class ClearedWhenTaken(MemoryBuffers):
    """Clears what it gives out: whoever dies with it takes it along."""

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        kept = await super().take(buffer_id, token, duration, limit=limit)
        for one in kept:
            self._buffers[buffer_id].jobs.pop(one.job.id)
        return kept


class WholeBufferRemoved(MemoryBuffers):
    """Removes all that is in a buffer, also what came while it was taken."""

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        for buffer in self._buffers.values():
            if buffer.token == token:
                plan = FlushPlan(list(buffer.jobs), plan.jobs, plan.merged, plan.failure)
        return await super().commit(token, plan)


class TakenByAll(MemoryBuffers):
    """Gives the same jobs to whoever asks."""

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        if buffer_id in self._buffers:
            self._buffers[buffer_id].taken_until = None
        return await super().take(buffer_id, token, duration, limit=limit)


class TokensNotCompared(MemoryBuffers):
    """Lets whoever took the jobs first add them, though another has taken them since."""

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        try:
            return await super().commit(token, plan)
        except BufferTakeLostError:
            for buffer in self._buffers.values():
                if buffer.jobs:
                    buffer.token = token
            return await super().commit(token, plan)


class CommitsForgotten(MemoryBuffers):
    """Does not know a commit again."""

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        receipts = await super().commit(token, plan)
        for buffer in self._buffers.values():
            buffer.committed = ""
        return receipts


class TracesForgotten(MemoryBuffers):
    """Does not say where a job went."""

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        places = await super().find_places(job_ids)
        return {job_id: place for job_id, place in places.items() if place.merged_into is None}


class AddsAfterwards(MemoryBuffers):
    """Removes jobs, lets others in, and then adds what they were reduced to."""

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        receipts = await super().commit(token, FlushPlan(plan.taken, (), {}))
        await checkpoint()
        return [*receipts, *await super().commit(token, plan)]


class NewestFirst(MemoryBuffers):
    """Gives the newest first."""

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        return [*reversed(await super().take(buffer_id, token, duration, limit=limit))]


class FailuresForgotten(MemoryBuffers):
    """Lets jobs wait that were to fail."""

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        return await super().commit(token, FlushPlan(plan.taken, plan.jobs, plan.merged))


class CancelsForgotten(MemoryBuffers):
    """Removes a job from its buffer that was to be cancelled."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        job = await super().cancel_job(job_id, reason)
        if job is not None:
            self._tables.remove(self._tables.job(job_id))
        return job


class FlushesNotStopped(MemoryBuffers):
    """Lets a flush add what was removed after it was taken."""

    def _leave(self, row: _Row) -> None:
        self._drop(row)

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        there = [job_id for job_id in plan.taken if job_id in self._rows]
        merged = {job_id: into for job_id, into in plan.merged.items() if job_id in there}
        return await super().commit(token, FlushPlan(there, plan.jobs, merged, plan.failure))
