"""The buffers facet of the memory store."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from attrs import Factory, define, evolve

from conveyor._builtin.memory import changes
from conveyor._builtin.memory.adding import add_jobs, is_same_add
from conveyor.errors import BufferTakeLostError, CapabilityError, DuplicateJobError
from conveyor.model.buffers.values import BufferPlace, BufferSize, KeptJob, timed_from, traces_of
from conveyor.model.deduplication import add_digest
from conveyor.model.queries import Added, AddReceipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.job import JobData, NewJob

__all__ = ["MemoryBuffers"]


@define(eq=False)
class _Buffer:
    """One buffer: its jobs by id, oldest first, and who took some of them until when."""

    id: str
    jobs: dict[str, _Row] = Factory(dict)
    bytes: int = 0
    token: str = ""
    taken_until: datetime | None = None
    committed: str = ""


@define(eq=False)
class _Row:
    job: NewJob
    added_at: datetime
    buffer: _Buffer

    @property
    def kept(self) -> KeptJob:
        return KeptJob(self.job, self.added_at)

    def is_same(self, job: NewJob) -> bool:
        mine = self.job
        return (mine.payload, mine.name, mine.queue_name) == (job.payload, job.name, job.queue_name)


@define(eq=False)
class _Trace:
    into: str
    digest: bytes
    at: datetime


class MemoryBuffers:
    """Jobs that wait to be reduced. See `conveyor.contracts.store.buffers`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._buffers: dict[str, _Buffer] = {}
        self._rows: dict[str, _Row] = {}
        # In the order of their times.
        self._traces: dict[str, _Trace] = {}

    async def add(self, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Put jobs into a buffer."""
        buffer = self._buffers.get(buffer_id)
        if buffer is None:
            buffer = self._buffers[buffer_id] = _Buffer(buffer_id)
        now = self._tables.now()
        return [AddReceipt(job.id, self._add(buffer, job, now)) for job in jobs]

    def _add(self, buffer: _Buffer, job: NewJob, now: datetime) -> Added:
        job_id = job.id
        row, trace, record = self._rows.get(job_id), self._traces.get(job_id), self._tables.jobs.get(job_id)
        if row is not None or trace is not None or record is not None:
            # Each that has the id may be this one: a job that was added past its buffer has it as well.
            is_same = (
                (row is not None and row.is_same(job))
                or (trace is not None and trace.digest == add_digest(job))
                or (record is not None and is_same_add(record, job))
            )
            return Added.BUFFERED if is_same else Added.DUPLICATE
        self._rows[job_id] = buffer.jobs[job_id] = _Row(timed_from(job, now), now, buffer)
        buffer.bytes += len(job.payload)
        return Added.BUFFERED

    async def add_in(self, connection: object, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Refuse: there is no transaction to join."""
        del connection, buffer_id, jobs
        raise CapabilityError("memory", "transactions", "connection=")

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        """Return how full each buffer is."""
        return {buffer.id: _size(buffer) for buffer in self._buffers.values() if buffer.jobs}

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        """Take the oldest jobs of a buffer."""
        buffer, now = self._buffers.get(buffer_id), self._tables.now()
        if buffer is None or not buffer.jobs or limit < 1:
            return ()
        if buffer.taken_until is not None and buffer.taken_until > now and buffer.token != token:
            return ()
        buffer.token, buffer.taken_until = token, now + duration
        return [row.kept for row in islice(buffer.jobs.values(), limit)]

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        """Remove what was taken, and add what it was reduced to."""
        buffer = next((one for one in self._buffers.values() if token in {one.token, one.committed}), None)
        if buffer is None:
            raise BufferTakeLostError("unknown", token)
        if buffer.committed == token:
            return [self._went(job.id) for job in plan.jobs]
        for job in plan.jobs:
            record = self._tables.jobs.get(job.id)
            if record is not None and not is_same_add(record, job):
                raise DuplicateJobError(job.id, job.id, job.queue_name)
        there = {job.id for job in plan.jobs if job.id in self._tables.jobs}
        receipts = add_jobs(self._tables, plan.jobs)
        self._remove(buffer, plan, traces_of(plan, receipts))
        buffer.token, buffer.taken_until, buffer.committed = "", None, token
        if plan.failure is not None:
            for receipt in receipts:
                if receipt.outcome is Added.ADDED and receipt.job_id not in there:
                    changes.fail(self._tables, receipt.job_id, plan.failure)
        return receipts

    def _remove(self, buffer: _Buffer, plan: FlushPlan, traces: Mapping[str, str]) -> None:
        now = self._tables.now()
        for job_id in plan.taken:
            row = buffer.jobs[job_id]
            self._drop(row)
            if job_id in traces:
                self._traces[job_id] = _Trace(traces[job_id], add_digest(row.job), now)

    def _went(self, job_id: str) -> AddReceipt:
        trace = self._traces.get(job_id)
        if trace is None or trace.into == job_id:
            return AddReceipt(job_id)
        return AddReceipt(trace.into, Added.KEPT)

    async def release(self, token: str, /) -> None:
        """Let others take what this token took."""
        for buffer in self._buffers.values():
            if buffer.token == token:
                buffer.token, buffer.taken_until = "", None

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        """Return where jobs went."""
        places: dict[str, BufferPlace] = {}
        for job_id in job_ids:
            if (row := self._rows.get(job_id)) is not None:
                places[job_id] = BufferPlace(row.buffer.id, kept=row.kept)
            elif (trace := self._traces.get(job_id)) is not None and trace.into != job_id:
                places[job_id] = BufferPlace(merged_into=trace.into)
        return places

    async def find_ids(self, beginning: str, /, *, limit: int) -> Sequence[str]:
        """Return ids that begin so: every id is looked at."""
        merged = {job_id for job_id, trace in self._traces.items() if trace.into != job_id}
        return sorted(job_id for job_id in self._rows.keys() | merged if job_id.startswith(beginning))[:limit]

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        """End a job in a buffer as cancelled."""
        row = self._rows.get(job_id)
        if row is None:
            return None
        if job_id in self._tables.jobs:
            raise DuplicateJobError(job_id, job_id, row.job.queue_name)
        self._leave(row)
        # It is no job for a moment, so it meets nobody's key.
        add_jobs(self._tables, [evolve(row.job, deduplication=None)])
        return changes.cancel(self._tables, job_id, reason).snapshot()

    async def remove_job(self, job_id: str, /) -> bool:
        """Delete a job from its buffer."""
        row = self._rows.get(job_id)
        if row is not None:
            self._leave(row)
        return row is not None

    def _leave(self, row: _Row) -> None:
        """Take one job out of its buffer; a flush that has taken the buffer lost it by that."""
        self._drop(row)
        row.buffer.token, row.buffer.taken_until = "", None

    def _drop(self, row: _Row) -> None:
        del self._rows[row.job.id], row.buffer.jobs[row.job.id]
        row.buffer.bytes -= len(row.job.payload)

    async def forget_merged(self, age: timedelta, /, *, limit: int = 1000) -> int:
        """Remove old traces."""
        until = self._tables.now() - age
        old = [job_id for job_id, trace in islice(self._traces.items(), max(limit, 0)) if trace.at <= until]
        for job_id in old:
            del self._traces[job_id]
        return len(old)


def _size(buffer: _Buffer) -> BufferSize:
    rows = buffer.jobs.values()
    return BufferSize(
        len(rows), buffer.bytes, next(iter(rows)).added_at, next(reversed(rows)).added_at, buffer.taken_until
    )
