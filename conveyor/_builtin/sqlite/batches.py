"""The batches facet of the SQLite store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.batch_part_rows import add_work
from conveyor._builtin.sqlite.batch_rows import find_batch, look_for_batch, with_histories
from conveyor._builtin.sqlite.batch_steps import save_errors, save_step
from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.reading import find_jobs
from conveyor._builtin.sqlite.rows import from_micros, span_micros, to_micros
from conveyor._builtin.sqlite.statements import sql
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
from conveyor.model.batches.values import BatchPage, StrandedBatch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
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

__all__ = ["SqliteBatches"]


class SqliteBatches:
    """Batch jobs. See `conveyor.contracts.store.batches`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._write = writer.run
        self._read = readers.run

    async def create_batch(self, batch: NewBatchJob, job: NewJob, /) -> BatchJobData:
        """Keep a batch job, and add the job that pre-processes it."""
        return await self._write(_create, batch, job)

    async def get_batch(self, batch_id: str, /) -> BatchJobData | None:
        """Return a batch job, or None."""
        return await self._read(look_for_batch, batch_id)

    async def find_batches(self, wanted: BatchFilter, /, *, cursor: str | None = None, limit: int = 100) -> BatchPage:
        """Return batch jobs that match, the newest first."""
        end = None if cursor is None else parse_page_end(cursor)
        return await self._read(_find, wanted, end, limit)

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        """Change the status, write what the change holds, add its job."""
        return await self._write(_change, batch_id, change)

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Keep how far a run is."""
        return await self._write(save_step, batch_id, run, step)

    async def save_errors(self, batch_id: str, job_id: str, errors: Sequence[RowError], /) -> BatchStatus:
        """Keep bad rows that were found before anything is processed."""
        return await self._write(save_errors, batch_id, job_id, errors)

    async def get_errors(self, batch_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return its bad rows by number."""
        return await self._read(_errors, batch_id, after, limit)

    async def find_stranded(self, *, limit: int = 100) -> Sequence[StrandedBatch]:
        """Return batch jobs for which no job waits or runs."""
        return await self._read(_stranded, limit)

    async def remove_batch(self, batch_id: str, /) -> None:
        """Delete a batch job that has ended."""
        await self._write(_remove, batch_id)

    async def remove_ended(
        self, age: timedelta | None, /, *, most: int | None = None, limit: int = 100
    ) -> Sequence[BatchJobData]:
        """Delete batch jobs that have ended and are to be kept no longer, the oldest end first."""
        return await self._write(_remove_ended, age, most, limit)


def _create(transaction: Transaction, new: NewBatchJob, job: NewJob) -> BatchJobData:
    connection, digest = transaction.connection, creation_digest(new)
    known = connection.execute(sql("batches/create_batch_known"), (new.id,)).fetchone()
    if known is not None:
        if known[0] != digest:
            raise DuplicateBatchJobError(new.id, new.batch_type, is_identity=False)
        return find_batch(connection, new.id)
    batch = created(new, job, from_micros(transaction.now))
    _check_identity(connection, batch)
    add_work(transaction, [job])
    who = (batch.created_by, batch.identity, batch.parent_id, job.id, digest)
    values = (batch.id, batch.batch_type, batch.status.value, batch.context, transaction.now)
    connection.execute(sql("batches/create_batch"), (*values, batch.dry_run, batch.confirmation.value, *who))
    _write_history(transaction, batch, None)
    return batch


def _change(transaction: Transaction, batch_id: str, change: BatchChange) -> BatchJobData:
    connection = transaction.connection
    before = find_batch(connection, batch_id)
    if connection.execute(sql("batches/change_batch_same"), (batch_id, change.id)).fetchone():
        return before
    after = changed(before, change, from_micros(transaction.now))
    if before.status in FREEING_STATUSES:
        _check_identity(connection, after)
    if (job := added_job(after, change)) is not None:
        add_work(transaction, [job])
    if forgets_errors(before, change):
        connection.execute(sql("batches/remove_batch_errors"), (batch_id,))
    status = (after.id, after.status.value, transaction.now, after.revision, after.context)
    run = (after.run, _micros(after.run_started_at), after.run_started_from, after.job_id)
    values = (*status, *run, after.result, after.total, after.error, after.retries)
    connection.execute(sql("batches/change_batch"), values)
    _write_history(transaction, after, change.id)
    return after


def _check_identity(connection: sqlite3.Connection, batch: BatchJobData) -> None:
    if batch.identity is None:
        return
    values = (batch.id, batch.batch_type, batch.identity)
    holder = connection.execute(sql("batches/change_batch_holder"), values).fetchone()
    if holder is not None:
        raise DuplicateBatchJobError(holder[0], batch.batch_type)


def _write_history(transaction: Transaction, batch: BatchJobData, change_id: str | None) -> None:
    line = batch.history[-1]
    before = None if line.before is None else line.before.value
    command = None if line.command is None else line.command.value
    values = (batch.id, change_id, transaction.now, before, line.after.value, command, line.by, line.reason)
    transaction.connection.execute(sql("batches/change_batch_history"), values)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _find(
    connection: sqlite3.Connection, wanted: BatchFilter, end: tuple[datetime, str] | None, limit: int
) -> BatchPage:
    types = as_json(wanted.types) if wanted.types else None
    statuses = as_json(wanted.statuses) if wanted.statuses else None
    at, batch_id = (None, None) if end is None else end
    times = (_micros(wanted.created_from), _micros(wanted.created_before), _micros(at))
    # One more than asked for tells whether there is another page.
    values = (types, statuses, wanted.created_by, wanted.parent_id, *times, batch_id, wanted.id_prefix)
    rows = connection.execute(sql("batches/find_batches"), (*values, max(limit, 0) + 1)).fetchall()
    page = tuple(with_histories(connection, rows[: max(limit, 0)]))
    return BatchPage(page, page_end(page) if page and len(rows) > limit else None)


def _errors(connection: sqlite3.Connection, batch_id: str, after: int, limit: int) -> Sequence[RowError]:
    rows = connection.execute(sql("batches/get_errors"), (batch_id, after, max(limit, 0)))
    return [decode_row_error(number, error) for number, error in rows]


def _stranded(connection: sqlite3.Connection, limit: int) -> Sequence[StrandedBatch]:
    rows = connection.execute(sql("batches/find_stranded"), (max(limit, 0),)).fetchall()
    batches = with_histories(connection, rows)
    jobs = find_jobs(connection, [batch.job_id for batch in batches if batch.job_id is not None])
    return [StrandedBatch(batch, jobs.get(batch.job_id or "")) for batch in batches]


def _remove(transaction: Transaction, batch_id: str) -> None:
    check_removable(find_batch(transaction.connection, batch_id))
    _delete(transaction.connection, batch_id)


def _remove_ended(
    transaction: Transaction, age: timedelta | None, most: int | None, limit: int
) -> Sequence[BatchJobData]:
    connection = transaction.connection
    until = None if age is None else transaction.now - span_micros(age)
    rows = [] if until is None else connection.execute(sql("batches/remove_ended"), (until, max(limit, 0))).fetchall()
    if most is not None and len(rows) < limit:
        # None of the old ones: those are deleted only now.
        values = (most, -1 if until is None else until, limit - len(rows))
        rows += connection.execute(sql("batches/remove_ended_surplus"), values).fetchall()
    removed = with_histories(connection, rows)
    for batch in removed:
        _delete(connection, batch.id)
    return removed


def _delete(connection: sqlite3.Connection, batch_id: str) -> None:
    for statement in (
        sql("batches/remove_batch_errors"),
        sql("batches/remove_batch_parts"),
        sql("batches/remove_batch_history"),
        sql("batches/remove_batch"),
    ):
        connection.execute(statement, (batch_id,))
