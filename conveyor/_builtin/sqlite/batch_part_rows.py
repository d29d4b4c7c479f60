"""Rows of the parts of batch jobs to values of the model and back, and the jobs that come with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.adding import save_jobs
from conveyor._builtin.sqlite.rows import to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_counts, encode_counts
from conveyor.errors import BatchJobNotFoundError
from conveyor.model.batches.parts import BatchPart
from conveyor.model.queries import Added
from conveyor.model.schedules.firing import refusal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.batches.values import BatchJobData
    from conveyor.model.job import NewJob

__all__ = ["add_work", "find_part", "read_parts", "write_part", "write_standing"]


def read_parts(connection: sqlite3.Connection, batch_id: str, number: int | None = None) -> list[BatchPart]:
    """Return the parts of a batch job, by number; or the one that is wanted, if it is there."""
    rows = connection.execute(sql("batch_parts/get_parts"), (batch_id, number))
    return [
        BatchPart(number, span, job_id, run, steps, cursor, done, decode_counts(counts), bool(is_done), error)
        for number, span, job_id, run, steps, cursor, done, counts, is_done, error in rows
    ]


def find_part(connection: sqlite3.Connection, batch_id: str, number: int) -> BatchPart:
    """Return a part of a batch job.

    Raises:
        BatchJobNotFoundError: there is no such part.
    """
    found = read_parts(connection, batch_id, number)
    if not found:
        raise BatchJobNotFoundError(batch_id)
    return found[0]


def write_part(connection: sqlite3.Connection, batch_id: str, part: BatchPart) -> None:
    """Write what becomes of a part."""
    standing = (part.steps, part.cursor, part.done, encode_counts(part.counts), part.is_done, part.error)
    connection.execute(sql("batch_parts/start_part"), (batch_id, part.number, part.job_id, part.run, *standing))


def write_standing(connection: sqlite3.Connection, batch: BatchJobData) -> None:
    """Write where the parts of a batch job stand together."""
    told = (batch.done, batch.total, encode_counts(batch.counts), batch.message, batch.retries)
    values = (batch.id, to_micros(batch.updated_at), batch.revision, *told, batch.parts, batch.parts_done)
    connection.execute(sql("batch_parts/end_part"), values)


def add_work(transaction: Transaction, jobs: Sequence[NewJob]) -> None:
    """Add jobs that work for a batch job.

    Raises:
        DuplicateJobError: another job has the id of one; what was done in the transaction is not to stay.
    """
    for job, receipt in zip(jobs, save_jobs(transaction, jobs), strict=True):
        if receipt.outcome is not Added.ADDED:
            raise refusal(job, receipt.outcome)
