"""The buffers facet of the SQLite store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor._builtin.sqlite.adding import save_jobs
from conveyor._builtin.sqlite.buffering import fail_added, insert_buffered
from conveyor._builtin.sqlite.changes import cancel_job
from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.rows import from_micros, micros_after, span_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_deduplication, decode_options
from conveyor.errors import BufferTakeLostError, DuplicateJobError
from conveyor.model.buffers.dead_letters import dead_letters_of
from conveyor.model.buffers.values import BufferPlace, BufferSize, KeptJob, traces_of
from conveyor.model.deduplication import add_digest, digest_of
from conveyor.model.job import NewJob
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.text import HIGHEST_CHARACTER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.rows import JobRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.transactions import SqliteTransactions
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.job import JobData

__all__ = ["SqliteBuffers"]

_NOTHING: Final = "unknown"


class SqliteBuffers:
    """Jobs that wait to be reduced. See `conveyor.contracts.store.buffers`."""

    def __init__(self, writer: Writer, readers: Readers, transactions: SqliteTransactions) -> None:
        self._write = writer.run
        self._write_item = writer.run_item
        self._read = readers.run
        self._transactions = transactions
        # One for each buffer: the writer does those of one function together.
        self._adds: dict[str, Callable[[Transaction, Sequence[NewJob]], Sequence[AddReceipt]]] = {}

    async def add(self, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Put jobs into a buffer; single ones of concurrent callers go there together."""
        add = self._adds.get(buffer_id) or self._adds.setdefault(buffer_id, partial(_add, buffer_id=buffer_id))
        return (await self._write_item(add, jobs[0]),) if len(jobs) == 1 else await self._write(add, jobs)

    async def add_in(self, connection: object, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Put jobs into a buffer inside the caller's transaction."""
        return await self._transactions.run_in(connection, partial(_add, buffer_id=buffer_id, jobs=jobs))

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        """Return how full each buffer is."""
        return await self._read(_sizes)

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        """Take the oldest jobs of a buffer."""
        return await self._write(_take, buffer_id, token, duration, limit)

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        """Remove what was taken, and add what it was reduced to."""
        return await self._write(_commit, token, plan)

    async def release(self, token: str, /) -> None:
        """Let others take what this token took."""
        await self._write(_release, token)

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        """Return where jobs went."""
        return await self._read(_places, job_ids)

    async def find_ids(self, beginning: str, /, *, limit: int) -> Sequence[str]:
        """Return ids that begin so."""
        return await self._read(_ids, beginning, limit)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        """End a job in a buffer as cancelled."""
        return await self._write(_cancel, job_id, reason)

    async def remove_job(self, job_id: str, /) -> bool:
        """Delete a job from its buffer."""
        return await self._write(_remove, job_id) is not None

    async def forget_merged(self, age: timedelta, /, *, limit: int = 1000) -> int:
        """Remove old traces."""
        return await self._write(_forget_merged, age, limit)


def _add(transaction: Transaction, jobs: Sequence[NewJob], *, buffer_id: str) -> Sequence[AddReceipt]:
    if insert_buffered(transaction, buffer_id, jobs) == len(jobs):
        return [AddReceipt(job.id, Added.BUFFERED) for job in jobs]
    connection, ids = transaction.connection, as_json([job.id for job in jobs])
    known: dict[str, bytes | None] = {}
    for job_id, digest in connection.execute(sql("buffers/add_known"), (ids,)):
        known[job_id] = known.get(job_id) or digest
    there = _digests(connection, ids)
    return [AddReceipt(job.id, _added(connection, job, {there.get(job.id), known.get(job.id)})) for job in jobs]


def _digests(connection: sqlite3.Connection, ids: str) -> dict[str, bytes]:
    """Return by what the adds of jobs in buffers are known again; most never are, so it is not kept with them."""
    rows = connection.execute(sql("buffers/add_same"), (ids,))
    return {job_id: digest_of(job_id, queue, name, payload) for job_id, queue, name, payload in rows}


def _added(connection: sqlite3.Connection, job: NewJob, digests: Collection[bytes | None]) -> Added:
    """Answer for a job whose id is taken, maybe by itself: in a buffer or merged, by these digests, or by a job."""
    is_same = add_digest(job) in digests or _is_same_job(connection, job)
    return Added.BUFFERED if is_same else Added.DUPLICATE


def _is_same_job(connection: sqlite3.Connection, job: NewJob) -> bool:
    content = (job.id, job.queue_name, job.name, job.payload)
    known = connection.execute(sql("jobs/save_jobs_known"), content).fetchone()
    return known is not None and bool(known[1])


def _sizes(connection: sqlite3.Connection) -> Mapping[str, BufferSize]:
    return {
        buffer_id: BufferSize(
            jobs, size, from_micros(oldest), from_micros(newest), None if until is None else from_micros(until)
        )
        for buffer_id, jobs, size, oldest, newest, until in connection.execute(sql("buffers/get_sizes"))
    }


def _take(transaction: Transaction, buffer_id: str, token: str, duration: timedelta, limit: int) -> Sequence[KeptJob]:
    connection = transaction.connection
    rows = connection.execute(sql("buffers/take_jobs"), (buffer_id, max(limit, 0))).fetchall()
    if not rows:
        return ()
    until = micros_after(transaction.now, duration)
    if not connection.execute(sql("buffers/take"), (buffer_id, token, transaction.now, until)).rowcount:
        return ()
    return [_kept(row) for row in rows]


def _commit(transaction: Transaction, token: str, plan: FlushPlan) -> Sequence[AddReceipt]:
    connection = transaction.connection
    row = connection.execute(sql("buffers/commit"), (token,)).fetchone()
    if row is None:
        raise BufferTakeLostError(_NOTHING, token)
    if row[1]:
        return _committed(connection, plan)
    there = _job_ids(connection, plan.jobs) if plan.failure is not None else ()
    receipts = save_jobs(transaction, plan.jobs)
    for job, receipt in zip(plan.jobs, receipts, strict=True):
        if receipt.outcome is Added.DUPLICATE:
            raise DuplicateJobError(receipt.job_id, job.id, job.queue_name)
    _leave_traces(transaction, traces_of(plan, receipts))
    connection.execute(sql("buffers/commit_remove"), (as_json(plan.taken),))
    connection.execute(sql("buffers/commit_done"), (token,))
    for letters in dead_letters_of(plan, receipts, there):
        fail_added(transaction, letters)
    return receipts


def _job_ids(connection: sqlite3.Connection, jobs: Sequence[NewJob]) -> set[str]:
    """Return the ids of those that are jobs already."""
    ids = as_json([job.id for job in jobs])
    return {job_id for job_id, digest in connection.execute(sql("buffers/add_known"), (ids,)) if digest is None}


def _leave_traces(transaction: Transaction, traces: Mapping[str, str]) -> None:
    if not traces:
        return
    digests = _digests(transaction.connection, as_json([*traces]))
    pairs = as_json([(job_id, traces[job_id]) for job_id in digests])
    length = len(next(iter(digests.values())))
    written = (pairs, b"".join(digests.values()), length, transaction.now)
    transaction.connection.execute(sql("buffers/commit_traces"), written)


def _committed(connection: sqlite3.Connection, plan: FlushPlan) -> Sequence[AddReceipt]:
    ids = as_json([job.id for job in plan.jobs])
    went = dict(connection.execute(sql("buffers/commit_again"), (ids,)))
    return [AddReceipt(went[job.id], Added.KEPT) if job.id in went else AddReceipt(job.id) for job in plan.jobs]


def _release(transaction: Transaction, token: str) -> None:
    transaction.connection.execute(sql("buffers/release"), (token,))


def _places(connection: sqlite3.Connection, job_ids: Sequence[str]) -> Mapping[str, BufferPlace]:
    ids = (as_json(job_ids),)
    places = {
        job_id: BufferPlace(merged_into=into) for job_id, into in connection.execute(sql("buffers/commit_again"), ids)
    }
    for buffer_id, *columns in connection.execute(sql("buffers/find_places"), ids):
        places[columns[0]] = BufferPlace(buffer_id, _kept(tuple(columns)))
    return places


def _ids(connection: sqlite3.Connection, beginning: str, limit: int) -> Sequence[str]:
    rows = connection.execute(sql("buffers/find_ids"), (beginning, beginning + HIGHEST_CHARACTER, limit))
    return [job_id for (job_id,) in rows]


def _remove(transaction: Transaction, job_id: str) -> KeptJob | None:
    """Take one job out of its buffer; a flush that has taken the buffer lost it by that."""
    connection = transaction.connection
    place = _places(connection, [job_id]).get(job_id)
    if place is None or place.kept is None:
        return None
    connection.execute(sql("buffers/remove_job_untake"), (place.buffer_id,))
    connection.execute(sql("buffers/commit_remove"), (as_json([job_id]),))
    return place.kept


def _cancel(transaction: Transaction, job_id: str, reason: str) -> JobData | None:
    kept = _remove(transaction, job_id)
    if kept is None:
        return None
    if _job_ids(transaction.connection, [kept.job]):
        raise DuplicateJobError(job_id, job_id, kept.job.queue_name)
    # It is no job for a moment, so it meets nobody's key.
    save_jobs(transaction, [evolve(kept.job, deduplication=None)])
    return cancel_job(transaction, job_id, reason)


def _forget_merged(transaction: Transaction, age: timedelta, limit: int) -> int:
    until = transaction.now - span_micros(age)
    return transaction.connection.execute(sql("buffers/forget_merged"), (until, max(limit, 0))).rowcount


def _kept(row: JobRow) -> KeptJob:
    """Return the job of the columns id, queue, name, payload, options, run_at, expires_at, deduplication, added_at."""
    job_id, queue_name, name, payload, options, run_at, expires_at, deduplication, added_at = row
    job = NewJob(
        job_id,
        queue_name,
        name,
        payload,
        decode_options(options),
        None,
        None if run_at is None else from_micros(run_at),
        None if expires_at is None else from_micros(expires_at),
        decode_deduplication(deduplication),
    )
    return KeptJob(job, from_micros(added_at))
