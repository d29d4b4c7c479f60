"""The batch parts facet of the SQLite store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.batch_part_rows import add_work, find_part, read_parts, write_part, write_standing
from conveyor._builtin.sqlite.batch_rows import find_batch
from conveyor._builtin.sqlite.rows import from_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.batches.parts import check_dividing, divided, part_assigned, part_ended, part_started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.batches.parts import BatchPart, NewBatchPart, PartStart
    from conveyor.model.job import NewJob

__all__ = ["SqliteBatchParts"]


class SqliteBatchParts:
    """Parts of batch jobs. See `conveyor.contracts.store.batch_parts`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._write = writer.run
        self._read = readers.run

    async def divide_batch(self, batch_id: str, run: str, parts: Sequence[NewBatchPart], /) -> Sequence[BatchPart]:
        """Keep the parts of a batch job, and add their jobs."""
        return await self._write(_divide, batch_id, run, parts)

    async def get_parts(self, batch_id: str, /) -> Sequence[BatchPart]:
        """Return its parts, by number."""
        return await self._read(read_parts, batch_id)

    async def assign_part(self, batch_id: str, run: str, number: int, job: NewJob, /) -> BatchPart:
        """Let another job work for a part, and add that."""
        return await self._write(_assign, batch_id, run, number, job)

    async def start_part(self, batch_id: str, start: PartStart, /) -> BatchPart:
        """Begin a run of a part."""
        return await self._write(_start, batch_id, start)

    async def end_part(self, batch_id: str, number: int, run: str, /, *, error: str | None = None) -> BatchPart:
        """End a run of a part."""
        return await self._write(_end, batch_id, number, run, error)


def _divide(transaction: Transaction, batch_id: str, run: str, new: Sequence[NewBatchPart]) -> Sequence[BatchPart]:
    connection = transaction.connection
    batch = find_batch(connection, batch_id)
    check_dividing(batch, run)
    if batch.parts:
        return read_parts(connection, batch_id)
    after, parts = divided(batch, new, from_micros(transaction.now))
    add_work(transaction, [part.job for part in new if part.job is not None])
    rows = [(batch_id, part.number, part.span, part.job_id) for part in parts]
    connection.executemany(sql("batch_parts/divide_batch"), rows)
    write_standing(connection, after)
    return parts


def _assign(transaction: Transaction, batch_id: str, run: str, number: int, job: NewJob) -> BatchPart:
    connection = transaction.connection
    check_dividing(find_batch(connection, batch_id), run)
    before = find_part(connection, batch_id, number)
    after = part_assigned(before, job)
    if after is not before:
        add_work(transaction, [job])
        write_part(connection, batch_id, after)
    return after


def _start(transaction: Transaction, batch_id: str, start: PartStart) -> BatchPart:
    connection = transaction.connection
    batch = find_batch(connection, batch_id)
    after = part_started(batch, find_part(connection, batch_id, start.number), start)
    write_part(connection, batch_id, after)
    return after


def _end(transaction: Transaction, batch_id: str, number: int, run: str, error: str | None) -> BatchPart:
    connection = transaction.connection
    before = find_batch(connection, batch_id)
    part = find_part(connection, batch_id, number)
    batch, after = part_ended(before, part, run, error, from_micros(transaction.now))
    if batch is not before:
        write_part(connection, batch_id, after)
        write_standing(connection, batch)
    return after
