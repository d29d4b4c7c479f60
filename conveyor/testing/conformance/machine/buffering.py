"""What the reference makes of buffers: what is in them, who took it, and where the jobs went that are there no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define, evolve

from conveyor.model.buffers.values import BufferPlace, BufferSize, KeptJob, timed_from, traces_of
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.machine.reference import ReferenceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.job import NewJob

__all__ = ["ReferenceBuffers"]


@define
class ReferenceBuffer:
    """One buffer: its jobs, the oldest first; who has it, until when; and whose commit was the last."""

    kept: list[KeptJob] = Factory(list)
    token: str = ""
    taken_until: datetime | None = None
    committed: str = ""

    def let_go(self) -> None:
        """Let others take it."""
        self.token, self.taken_until = "", None


@define
class ReferenceTrace:
    """Where a job went that was added to a buffer as `job`, and when."""

    job: NewJob
    into: str
    at: datetime


class ReferenceBuffers(ReferenceStore):
    """Buffers by id, and traces by the ids of the jobs that went on."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.buffers: dict[str, ReferenceBuffer] = {}
        self.traces: dict[str, ReferenceTrace] = {}

    def buffer(self, buffer_id: str, jobs: Sequence[NewJob]) -> list[AddReceipt]:
        """Put jobs into a buffer."""
        return [AddReceipt(job.id, self._buffer(buffer_id, job)) for job in jobs]

    def take(self, buffer_id: str, token: str, duration: timedelta, limit: int) -> list[KeptJob]:
        """Take the oldest jobs of a buffer, unless another has them."""
        buffer, now = self.buffers.get(buffer_id), self.now()
        if buffer is None or not buffer.kept or limit < 1:
            return []
        if buffer.token not in {"", token} and buffer.taken_until is not None and buffer.taken_until > now:
            return []
        buffer.token, buffer.taken_until = token, now + duration
        return buffer.kept[:limit]

    def commit(self, token: str, plan: FlushPlan) -> list[AddReceipt] | str:
        """End a flush; return what the adds were answered, or the name of the error."""
        mine = [buffer for buffer in self.buffers.values() if token in {buffer.token, buffer.committed}]
        if not mine:
            return "BufferTakeLostError"
        if mine[0].committed == token:
            return [self._went(job.id) for job in plan.jobs]
        before = self.snapshot()
        there = {job.new.id for job in self.jobs}
        receipts = self.save(plan.jobs)
        if any(receipt.outcome is Added.DUPLICATE for receipt in receipts):
            self.restore(before)
            return "DuplicateJobError"
        traces = traces_of(plan, receipts)
        for one in [self._leave(job_id) for job_id in plan.taken]:
            if one.job.id in traces:
                self.traces[one.job.id] = ReferenceTrace(one.job, traces[one.job.id], self.now())
        mine[0].let_go()
        mine[0].committed = token
        if plan.failure is not None:
            self._fail([one.job_id for one in receipts if one.outcome is Added.ADDED and one.job_id not in there])
        return receipts

    def release_take(self, token: str) -> None:
        """Let others take what a token took."""
        for buffer in self.buffers.values():
            if buffer.token == token:
                buffer.let_go()

    def end_buffered(self, job_id: str, *, is_cancelled: bool) -> JobState | str | None:
        """Cancel or remove a job in a buffer; return its state, None where it is in none, or the name of the error."""
        holder = self._holder(job_id)
        if holder is None:
            return None
        if is_cancelled and self.find(job_id) is not None:
            return "DuplicateJobError"
        left = self._leave(job_id)
        holder.let_go()
        if not is_cancelled:
            return "removed"
        self.save([evolve(left.job, deduplication=None)])
        return self.command(job_id, Command.CANCEL)

    def forget_merged(self, age: timedelta) -> int:
        """Forget traces; return how many."""
        old = [job_id for job_id, trace in self.traces.items() if trace.at <= self.now() - age]
        for job_id in old:
            del self.traces[job_id]
        return len(old)

    def sizes(self) -> dict[str, BufferSize]:
        """Return how full each buffer is that has jobs."""
        return {
            buffer_id: BufferSize(
                len(buffer.kept),
                sum(len(one.job.payload) for one in buffer.kept),
                buffer.kept[0].added_at,
                buffer.kept[-1].added_at,
                buffer.taken_until,
            )
            for buffer_id, buffer in self.buffers.items()
            if buffer.kept
        }

    def places(self) -> dict[str, BufferPlace]:
        """Return where each job is or went that is, or was, in a buffer."""
        merged = {id: BufferPlace(merged_into=trace.into) for id, trace in self.traces.items() if trace.into != id}
        there = {
            one.job.id: BufferPlace(buffer_id, one) for buffer_id, buffer in self.buffers.items() for one in buffer.kept
        }
        return merged | there

    def _buffer(self, buffer_id: str, new: NewJob) -> Added:
        known = [one.job for buffer in self.buffers.values() for one in buffer.kept if one.job.id == new.id]
        known += [self.traces[new.id].job] if new.id in self.traces else []
        job = self.find(new.id)
        known += [] if job is None else [job.new]
        if not known:
            self.buffers.setdefault(buffer_id, ReferenceBuffer()).kept.append(
                KeptJob(timed_from(new, self.now()), self.now())
            )
            return Added.BUFFERED
        return Added.BUFFERED if _content(new) in [_content(one) for one in known] else Added.DUPLICATE

    def _holder(self, job_id: str) -> ReferenceBuffer | None:
        buffers = self.buffers.values()
        return next((one for one in buffers if any(kept.job.id == job_id for kept in one.kept)), None)

    def _leave(self, job_id: str) -> KeptJob:
        buffer = self._holder(job_id)
        assert buffer is not None, f"{job_id} is in no buffer"
        left = next(one for one in buffer.kept if one.job.id == job_id)
        buffer.kept.remove(left)
        return left

    def _went(self, job_id: str) -> AddReceipt:
        place = self.places().get(job_id)
        if place is None or place.merged_into is None:
            return AddReceipt(job_id)
        return AddReceipt(place.merged_into, Added.KEPT)

    def _fail(self, job_ids: Sequence[str]) -> None:
        for job in self.jobs:
            if job.new.id in job_ids:
                job.state, job.finished_at, job.error = JobState.FAILED, self.now(), "a dead letter"


def _content(job: NewJob) -> tuple[str, str, bytes]:
    return (job.queue_name, job.name, job.payload)
