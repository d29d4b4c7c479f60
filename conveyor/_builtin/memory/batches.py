"""The batches facet of the memory store."""

from __future__ import annotations

from collections import Counter
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from conveyor._builtin.memory.batch_records import BatchRecord, add_work, find_part, find_record
from conveyor._builtin.memory.records import microseconds
from conveyor.errors import DuplicateBatchJobError
from conveyor.model.batches.changing import (
    FREEING_STATUSES,
    added_job,
    batch_matches,
    changed,
    check_removable,
    created,
    creation_digest,
    forgets_errors,
    last_errors,
    stepped,
    takes_errors,
)
from conveyor.model.batches.paging import page_end, parse_page_end
from conveyor.model.batches.parts import part_stepped
from conveyor.model.batches.status import ENDED_STATUSES, WORKED_STATUSES, BatchStatus
from conveyor.model.batches.values import BatchPage, StrandedBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.batches.values import (
        BatchChange,
        BatchFilter,
        BatchJobData,
        BatchStep,
        NewBatchJob,
        RowError,
    )
    from conveyor.model.job import NewJob

__all__ = ["MemoryBatches"]


class MemoryBatches:
    """Batch jobs. See `conveyor.contracts.store.batches`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._records = tables.batches

    async def create_batch(self, batch: NewBatchJob, job: NewJob, /) -> BatchJobData:
        """Keep a batch job, and add the job that pre-processes it."""
        digest = creation_digest(batch)
        known = self._records.get(batch.id)
        if known is not None:
            if known.digest != digest:
                raise DuplicateBatchJobError(batch.id, batch.batch_type, is_identity=False)
            return known.batch
        made = created(batch, job, self._tables.now())
        self._check_identity(made)
        self._add(job)
        self._records[batch.id] = BatchRecord(made, digest)
        return made

    async def get_batch(self, batch_id: str, /) -> BatchJobData | None:
        """Return a batch job, or None."""
        record = self._records.get(batch_id)
        return None if record is None else record.batch

    async def find_batches(self, wanted: BatchFilter, /, *, cursor: str | None = None, limit: int = 100) -> BatchPage:
        """Return batch jobs that match, the newest first."""
        end = None if cursor is None else parse_page_end(cursor)
        matching = (one for one in self._batches() if batch_matches(one, wanted))
        if end is not None:
            at, batch_id = end
            last = (-microseconds(at), batch_id)
            matching = (one for one in matching if _place(one) > last)
        # One more than asked for tells whether there is another page.
        found = nsmallest(limit + 1, matching, key=_place)
        page = tuple(found[: max(limit, 0)])
        return BatchPage(page, page_end(page) if page and len(found) > limit else None)

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        """Change the status, write what the change holds, add its job."""
        record = self._record(batch_id)
        if change.id in record.change_ids:
            return record.batch
        after = changed(record.batch, change, self._tables.now())
        if record.batch.status in FREEING_STATUSES:
            self._check_identity(after)
        if (job := added_job(after, change)) is not None:
            self._add(job)
        if forgets_errors(record.batch, change):
            record.errors.clear()
        record.batch = after
        record.change_ids.add(change.id)
        return after

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Keep how far a run is."""
        record = self._record(batch_id)
        before, now = record.batch, self._tables.now()
        if step.part is None:
            record.batch = stepped(before, run, step, now)
        else:
            part = find_part(record, step.part)
            record.batch, record.parts[step.part] = part_stepped(before, part, run, step, now)
        if record.batch is not before:
            for number in step.mended:
                record.errors.pop(number, None)
            record.errors.update(last_errors(step.errors))
        return record.batch.status

    async def save_errors(self, batch_id: str, job_id: str, errors: Sequence[RowError], /) -> BatchStatus:
        """Keep bad rows that were found before anything is processed."""
        record = self._record(batch_id)
        if takes_errors(record.batch, job_id):
            record.errors.update(last_errors(errors))
        return record.batch.status

    async def get_errors(self, batch_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return its bad rows by number."""
        record = self._records.get(batch_id)
        if record is None:
            return ()
        numbers = sorted(number for number in record.errors if number > after)
        return [record.errors[number] for number in numbers[: max(limit, 0)]]

    async def find_stranded(self, *, limit: int = 100) -> Sequence[StrandedBatch]:
        """Return batch jobs for which no job waits or runs."""
        return list(islice(self._stranded(), max(limit, 0)))

    async def remove_batch(self, batch_id: str, /) -> None:
        """Delete a batch job that has ended."""
        check_removable(self._record(batch_id).batch)
        del self._records[batch_id]

    async def remove_ended(
        self, age: timedelta | None, /, *, most: int | None = None, limit: int = 100
    ) -> Sequence[BatchJobData]:
        """Delete batch jobs that have ended and are to be kept no longer, the oldest end first."""
        until = None if age is None else self._tables.now() - age
        newer = Counter[str]()
        outdated: list[BatchJobData] = []
        ended = (one for one in self._batches() if one.status in ENDED_STATUSES)
        taken_up = {one.parent_id for one in self._batches() if one.status not in ENDED_STATUSES}
        for batch in sorted(ended, key=_end, reverse=True):
            is_surplus = most is not None and newer[batch.batch_type] >= most
            newer[batch.batch_type] += 1
            is_old = is_surplus or (until is not None and batch.updated_at <= until)
            if is_old and batch.id not in taken_up:
                outdated.append(batch)
        removed = outdated[::-1][: max(limit, 0)]
        for batch in removed:
            del self._records[batch.id]
        return removed

    def _batches(self) -> Iterator[BatchJobData]:
        return (record.batch for record in self._records.values())

    def _record(self, batch_id: str) -> BatchRecord:
        return find_record(self._tables, batch_id)

    def _check_identity(self, batch: BatchJobData) -> None:
        for other in self._batches():
            if other.id == batch.id or other.status in FREEING_STATUSES or other.batch_type != batch.batch_type:
                continue
            if batch.identity is not None and other.identity == batch.identity:
                raise DuplicateBatchJobError(other.id, batch.batch_type)

    def _add(self, job: NewJob) -> None:
        add_work(self._tables, [job])

    def _stranded(self) -> Iterator[StrandedBatch]:
        worked = (one for one in self._batches() if one.status in WORKED_STATUSES)
        for batch in sorted(worked, key=lambda one: (one.created_at, one.id)):
            job = None if batch.job_id is None else self._tables.jobs.get(batch.job_id)
            if job is None:
                yield StrandedBatch(batch, None)
            elif job.state.is_settled:
                yield StrandedBatch(batch, job.snapshot())


def _end(batch: BatchJobData) -> tuple[datetime, str]:
    return (batch.updated_at, batch.id)


def _place(batch: BatchJobData) -> tuple[int, str]:
    return (-microseconds(batch.created_at), batch.id)
