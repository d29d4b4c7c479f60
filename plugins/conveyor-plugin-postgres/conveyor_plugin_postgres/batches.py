"""The batches facet of the PostgreSQL store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.codec import decode_row_error
from conveyor.errors import DuplicateBatchJobError
from conveyor.model.batches.changing import (
    FREEING_STATUSES,
    added_job,
    changed,
    check_removable,
    created,
    creation_digest,
    forgets_errors,
)
from conveyor.model.batches.paging import page_end, parse_page_end
from conveyor.model.batches.status import ENDED_STATUSES
from conveyor.model.batches.values import BatchPage, StrandedBatch
from conveyor_plugin_postgres.batch_part_rows import add_work, lock_batch
from conveyor_plugin_postgres.batch_rows import add_to_history, batch_from_row, change_ids, text_column
from conveyor_plugin_postgres.batch_steps import save_errors, save_step
from conveyor_plugin_postgres.reading import find_jobs
from conveyor_plugin_postgres.rows import interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import (
        BatchChange,
        BatchFilter,
        BatchJobData,
        BatchStep,
        NewBatchJob,
        RowError,
    )
    from conveyor.model.job import NewJob
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = [
    "PostgresBatches",
    "change_batch",
    "create_batch",
    "find_batches",
    "find_stranded",
    "get_errors",
    "look",
    "remove_ended",
]


class PostgresBatches:
    """Batch jobs. See `conveyor.contracts.store.batches`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_batch(self, batch: NewBatchJob, job: NewJob, /) -> BatchJobData:
        """Keep a batch job, and add the job that pre-processes it."""
        return await self._database.write(create_batch, batch, job)

    async def get_batch(self, batch_id: str, /) -> BatchJobData | None:
        """Return a batch job, or None."""
        return await self._database.read(look, batch_id)

    async def find_batches(self, wanted: BatchFilter, /, *, cursor: str | None = None, limit: int = 100) -> BatchPage:
        """Return batch jobs that match, the newest first."""
        end = (None, None) if cursor is None else parse_page_end(cursor)
        return await self._database.read(find_batches, wanted, end, max(limit, 0))

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        """Change the status, write what the change holds, add its job."""
        return await self._database.write(change_batch, batch_id, change)

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Keep how far a run is."""
        # One of a part takes several statements.
        write = self._database.write_one if step.part is None else self._database.write
        status, _ = await write(save_step, batch_id, run, step)
        return status

    async def save_errors(self, batch_id: str, job_id: str, errors: Sequence[RowError], /) -> BatchStatus:
        """Keep bad rows that were found before anything is processed."""
        return await self._database.write(save_errors, batch_id, job_id, errors)

    async def get_errors(self, batch_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return its bad rows by number."""
        return await self._database.read(get_errors, batch_id, after, max(limit, 0))

    async def find_stranded(self, *, limit: int = 100) -> Sequence[StrandedBatch]:
        """Return batch jobs for which no job waits or runs."""
        return await self._database.read(find_stranded, max(limit, 0))

    async def remove_batch(self, batch_id: str, /) -> None:
        """Delete a batch job that has ended."""
        await self._database.write(_remove, batch_id)

    async def remove_ended(
        self, age: timedelta | None, /, *, most: int | None = None, limit: int = 100
    ) -> Sequence[BatchJobData]:
        """Delete batch jobs that have ended and are to be kept no longer, the oldest end first."""
        return await self._database.write(remove_ended, age, most, max(limit, 0))


async def create_batch(part: Part, new: NewBatchJob, job: NewJob) -> BatchJobData:
    """Keep a batch job, and add the job that pre-processes it."""
    digest = creation_digest(new)
    await _lock_identity(part, new.batch_type, new.identity)
    ((now, known),) = await part.fetch("batches/create_batch_known", new.id, part.moment)
    if known is None:
        batch = created(new, job, now)
        await _check_identity(part, batch)
        if await part.execute("batches/create_batch", *_new_columns(batch, digest)):
            await add_work(part, [job])
            return batch
        # Somebody made it just now.
        ((_, known),) = await part.fetch("batches/create_batch_known", new.id, part.moment)
    there = await look(part, new.id)
    if known != digest or there is None:
        raise DuplicateBatchJobError(new.id, new.batch_type, is_identity=False)
    return there


async def change_batch(part: Part, batch_id: str, change: BatchChange) -> BatchJobData:
    """Change the status, write what the change holds, add its job."""
    *row, now = tuple(await lock_batch(part, batch_id))
    before = batch_from_row(row)
    if change.id in change_ids(row):
        return before
    after = changed(before, change, now)
    if before.status in FREEING_STATUSES:
        await _lock_identity(part, after.batch_type, after.identity)
        await _check_identity(part, after)
    history = add_to_history(row[-1], change.id, after.history[-1])
    await part.execute("batches/change_batch", *_changed_columns(after, now), history)
    if forgets_errors(before, change):
        await part.execute("batches/change_batch_errors", batch_id)
    if (job := added_job(after, change)) is not None:
        await add_work(part, [job])
    return after


async def look(part: Part, batch_id: str) -> BatchJobData | None:
    """Return a batch job, or None."""
    row = await part.fetchrow("batches/get_batch", batch_id)
    return None if row is None else batch_from_row(row)


async def find_batches(
    part: Part, wanted: BatchFilter, end: tuple[datetime | None, str | None], limit: int
) -> BatchPage:
    """Return batch jobs that match, the newest first, after a place."""
    kinds = (list(wanted.types) or None, [status.value for status in wanted.statuses] or None)
    whose = (wanted.created_by, wanted.parent_id, wanted.created_from, wanted.created_before)
    # One more than asked for tells whether there is another page.
    rows = await part.fetch("batches/find_batches", *kinds, *whose, *end, wanted.id_prefix, limit + 1)
    page = tuple(batch_from_row(row) for row in rows[:limit])
    return BatchPage(page, page_end(page) if page and len(rows) > limit else None)


async def get_errors(part: Part, batch_id: str, after: int, limit: int) -> Sequence[RowError]:
    """Return bad rows by number."""
    rows = await part.fetch("batches/get_errors", batch_id, after, limit)
    return [decode_row_error(number, error) for number, error in rows]


async def find_stranded(part: Part, limit: int) -> Sequence[StrandedBatch]:
    """Return batch jobs for which no job waits or runs."""
    batches = [batch_from_row(row) for row in await part.fetch("batches/find_stranded", limit)]
    jobs = await find_jobs(part, [batch.job_id for batch in batches if batch.job_id is not None]) if batches else {}
    found = [StrandedBatch(batch, jobs.get(batch.job_id or "")) for batch in batches]
    # A job that was asked to run again since the first look works again.
    return [one for one in found if one.job is None or one.job.state.is_settled]


async def remove_ended(part: Part, age: timedelta | None, most: int | None, limit: int) -> Sequence[BatchJobData]:
    """Delete batch jobs that have ended and are to be kept no longer, the oldest end first."""
    span = None if age is None else interval(age)
    rows = [] if span is None else list(await part.fetch("batches/remove_ended", span, limit, part.moment))
    if most is not None and len(rows) < limit:
        # None of the old ones: those are deleted only now.
        rows += await part.fetch("batches/remove_ended_surplus", most, span, limit - len(rows), part.moment)
    removed = [batch_from_row(row) for row in rows]
    if removed:
        await part.execute("batches/remove_batch", [batch.id for batch in removed])
    return removed


async def _remove(part: Part, batch_id: str) -> None:
    check_removable(batch_from_row(await lock_batch(part, batch_id)))
    await part.execute("batches/remove_batch", [batch_id])


async def _lock_identity(part: Part, batch_type: str, identity: str | None) -> None:
    if identity is not None:
        await part.fetchval("batches/change_batch_lock", f"{batch_type} {identity}")


async def _check_identity(part: Part, batch: BatchJobData) -> None:
    if batch.identity is None:
        return
    holder = await part.fetchval("batches/change_batch_holder", batch.id, batch.batch_type, batch.identity)
    if holder is not None:
        raise DuplicateBatchJobError(holder, batch.batch_type)


def _new_columns(batch: BatchJobData, digest: bytes) -> tuple[object, ...]:
    what = (batch.id, batch.batch_type, batch.status.value, batch.context, batch.created_at, batch.dry_run)
    who = (batch.confirmation.value, batch.created_by, batch.identity, batch.parent_id, batch.job_id)
    return (*what, *who, add_to_history(None, None, batch.history[0]), digest)


def _changed_columns(after: BatchJobData, now: datetime) -> tuple[object, ...]:
    ended_at = now if after.status in ENDED_STATUSES else None
    what = (after.id, after.status.value, now, ended_at, after.revision, after.context)
    run = (after.run, after.run_started_at, after.run_started_from, after.job_id)
    return (*what, *run, after.result, after.total, text_column(after.error), after.retries)
