"""The buffers facet of the PostgreSQL store."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from conveyor.codec import decode_deduplication, decode_options, encode_deduplication, encode_options
from conveyor.errors import BufferTakeLostError, DuplicateJobError
from conveyor.model.buffers.dead_letters import dead_letters_of
from conveyor.model.buffers.values import BufferPlace, BufferSize, KeptJob, traces_of
from conveyor.model.events import NotificationKind
from conveyor.model.job import NewJob
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.retention import kept_for
from conveyor.model.text import HIGHEST_CHARACTER
from conveyor_plugin_postgres.adding import Adder, save_jobs
from conveyor_plugin_postgres.changes import cancel_job
from conveyor_plugin_postgres.ids import made_between
from conveyor_plugin_postgres.reading import find_jobs
from conveyor_plugin_postgres.removing import delete_ended
from conveyor_plugin_postgres.rows import error_column, interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.buffers.dead_letters import DeadLetters
    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.job import JobData
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part, Row
    from conveyor_plugin_postgres.transactions import PostgresTransactions

__all__ = [
    "PostgresBuffers",
    "add",
    "buffer_columns",
    "buffer_receipts",
    "cancel_buffered",
    "commit",
    "find_places",
    "forget_merged",
    "get_sizes",
    "remove_buffered",
    "take",
]

_NOTHING: Final = "unknown"


class PostgresBuffers:
    """Jobs that wait to be reduced. See `conveyor.contracts.store.buffers`."""

    def __init__(self, database: Database, transactions: PostgresTransactions) -> None:
        self._database = database
        self._transactions = transactions
        self._adders: dict[str, Adder] = {}

    async def add(self, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Put jobs into a buffer; single ones of concurrent callers share a statement."""
        if len(jobs) != 1:
            return await self._database.write_one(add, buffer_id, jobs)
        adder = self._adders.get(buffer_id)
        if adder is None:
            adder = self._adders[buffer_id] = Adder(partial(self._database.write_one, add, buffer_id))
        return (await adder.save_job(jobs[0]),)

    async def add_in(self, connection: object, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Put jobs into a buffer inside the caller's transaction."""
        return await self._transactions.add_to_buffer_in(connection, buffer_id, jobs)

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        """Return how full each buffer is."""
        return await self._database.read(get_sizes)

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        """Take the oldest jobs of a buffer."""
        return await self._database.write(take, buffer_id, token, duration, limit)

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        """Remove what was taken, and add what it was reduced to."""
        return await self._database.write(commit, token, plan)

    async def release(self, token: str, /) -> None:
        """Let others take what this token took."""
        await self._database.write_one(_release, token)

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        """Return where jobs went."""
        return await self._database.read(find_places, job_ids)

    async def find_ids(self, beginning: str, /, *, limit: int) -> Sequence[str]:
        """Return ids that begin so."""
        return await self._database.read(find_ids, beginning, limit)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        """End a job in a buffer as cancelled."""
        return await self._database.write(cancel_buffered, job_id, reason)

    async def remove_job(self, job_id: str, /) -> bool:
        """Delete a job from its buffer."""
        return await self._database.write(remove_buffered, job_id) is not None

    async def forget_merged(self, age: timedelta, /, *, limit: int = 1000) -> int:
        """Remove old traces."""
        return await self._database.write_one(forget_merged, age, limit)


async def add(part: Part, buffer_id: str, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    """Put jobs into a buffer in one statement."""
    if not jobs:
        return ()
    duplicates = await part.fetchval("buffers/add", *buffer_columns(buffer_id, jobs), part.moment)
    return buffer_receipts(jobs, duplicates)


def buffer_receipts(jobs: Sequence[NewJob], duplicates: Sequence[int] | None) -> Sequence[AddReceipt]:
    """Return the answers for the places that the database's function gives."""
    receipts = [AddReceipt(job.id, Added.BUFFERED) for job in jobs]
    for place in duplicates or ():
        receipts[place - 1] = AddReceipt(jobs[place - 1].id, Added.DUPLICATE)
    return receipts


def buffer_columns(buffer_id: str, jobs: Sequence[NewJob]) -> tuple[Any, ...]:
    """Return the arguments of the database's function add_to_buffer; a column that nobody uses is None."""
    return (
        buffer_id,
        [job.id for job in jobs],
        [job.queue_name for job in jobs],
        [job.name for job in jobs],
        [job.payload for job in jobs],
        _column([encode_options(job.options) for job in jobs]),
        _column([interval(job.delay) for job in jobs]),
        _column([job.run_at for job in jobs]),
        _column([interval(job.expires) if isinstance(job.expires, timedelta) else None for job in jobs]),
        _column([job.expires if isinstance(job.expires, datetime) else None for job in jobs]),
        _column([encode_deduplication(job.deduplication) for job in jobs]),
        made_between([job.id for job in jobs])[0],
    )


def _column(values: list[Any]) -> list[Any] | None:
    return values if any(value is not None for value in values) else None


async def get_sizes(part: Part) -> Mapping[str, BufferSize]:
    """Return how full each buffer is."""
    return {buffer_id: BufferSize(*size) for buffer_id, *size in await part.fetch("buffers/get_sizes")}


async def take(part: Part, buffer_id: str, token: str, duration: timedelta, limit: int) -> Sequence[KeptJob]:
    """Take the oldest jobs of a buffer."""
    if limit < 1 or not await part.execute("buffers/take", buffer_id, token, part.moment, interval(duration)):
        return ()
    # A statement of its own: what the one that was waited for removed is not there any more.
    rows = await part.fetch("buffers/take_jobs", buffer_id, limit)
    if not rows:
        await part.execute("buffers/release", token)
    return [_kept(row) for row in rows]


async def commit(part: Part, token: str, plan: FlushPlan) -> Sequence[AddReceipt]:
    """Remove what was taken, and add what it was reduced to."""
    is_done = await part.fetchval("buffers/commit", token)
    if is_done is None:
        raise BufferTakeLostError(_NOTHING, token)
    if is_done:
        went = dict(await part.fetch("buffers/commit_again", [job.id for job in plan.jobs]))
        return [AddReceipt(went[job.id], Added.KEPT) if job.id in went else AddReceipt(job.id) for job in plan.jobs]
    there = () if plan.failure is None else await find_jobs(part, [job.id for job in plan.jobs])
    receipts = await save_jobs(part, plan.jobs)
    for job, receipt in zip(plan.jobs, receipts, strict=True):
        if receipt.outcome is Added.DUPLICATE:
            raise DuplicateJobError(receipt.job_id, job.id, job.queue_name)
    traces, taken = traces_of(plan, receipts), sorted(plan.taken)
    await part.execute("buffers/commit_remove", taken, [traces.get(job_id) for job_id in taken], part.moment)
    await part.execute("buffers/commit_done", token)
    for letters in dead_letters_of(plan, receipts, there):
        await _fail(part, letters)
    return receipts


async def _fail(part: Part, letters: DeadLetters) -> None:
    kept = interval(kept_for(letters.removal))
    ended = (list(letters.job_ids), error_column(letters.error), part.moment, kept)
    for job_id, finished_at in await part.fetch("buffers/commit_failed", *ended):
        if letters.removal is True:
            await delete_ended(part, job_id, finished_at)
    part.hint(NotificationKind.FINISHED, letters.queue_name)


async def _release(part: Part, token: str) -> None:
    await part.execute("buffers/release", token)


async def find_places(part: Part, job_ids: Sequence[str]) -> Mapping[str, BufferPlace]:
    """Return where jobs went."""
    rows = await part.fetch("buffers/commit_again", list(job_ids))
    places = {job_id: BufferPlace(merged_into=into) for job_id, into in rows}
    for buffer_id, *columns in await part.fetch("buffers/find_places", list(job_ids)):
        places[columns[0]] = BufferPlace(buffer_id, _kept(columns))
    return places


async def find_ids(part: Part, beginning: str, limit: int) -> Sequence[str]:
    """Return ids that begin so of jobs that are in buffers or went into others."""
    rows = await part.fetch("buffers/find_ids", beginning, beginning + HIGHEST_CHARACTER, limit)
    return [job_id for (job_id,) in rows]


async def remove_buffered(part: Part, job_id: str) -> KeptJob | None:
    """Take one job out of its buffer, and return it; a flush that has taken the buffer lost it by that."""
    place = (await find_places(part, [job_id])).get(job_id)
    if place is None or place.kept is None:
        return None
    # Nobody commits a flush of this buffer from here on; one that did just now may have added the job.
    await part.execute("buffers/remove_job_untake", place.buffer_id)
    return place.kept if await part.execute("buffers/remove_job", job_id, place.buffer_id) else None


async def cancel_buffered(part: Part, job_id: str, reason: str) -> JobData | None:
    """End a job in a buffer as cancelled, and return it."""
    kept = await remove_buffered(part, job_id)
    if kept is None:
        return None
    if await find_jobs(part, [job_id]):
        raise DuplicateJobError(job_id, job_id, kept.job.queue_name)
    # It is no job for a moment, so it meets nobody's key.
    (receipt,) = await save_jobs(part, [evolve(kept.job, deduplication=None)])
    if receipt.outcome is Added.DUPLICATE:
        # Somebody added another just now.
        raise DuplicateJobError(receipt.job_id, job_id, kept.job.queue_name)
    return await cancel_job(part, job_id, reason)


async def forget_merged(part: Part, age: timedelta, limit: int) -> int:
    """Remove old traces."""
    return await part.execute("buffers/forget_merged", interval(age), max(limit, 0), part.moment)


def _kept(row: Row) -> KeptJob:
    """Return the job of the columns id, queue, name, payload, options, run_at, expires_at, deduplication, added_at."""
    job_id, queue_name, name, payload, options, run_at, expires_at, deduplication, added_at = row
    job = NewJob(
        job_id,
        queue_name,
        name,
        payload,
        decode_options(options),
        None,
        run_at,
        expires_at,
        decode_deduplication(deduplication),
    )
    return KeptJob(job, added_at)
