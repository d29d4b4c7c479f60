"""Rows of the parts of batch jobs to values of the model and back, and the jobs that come with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.codec import decode_counts, encode_counts
from conveyor.errors import BatchJobNotFoundError
from conveyor.model.batches.parts import BatchPart
from conveyor.model.queries import Added
from conveyor.model.schedules.firing import refusal
from conveyor_plugin_postgres.adding import save_jobs
from conveyor_plugin_postgres.batch_rows import batch_from_row, text_column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.batches.values import BatchJobData
    from conveyor.model.job import NewJob
    from conveyor_plugin_postgres.part import Part, Row

__all__ = [
    "add_work",
    "find_part",
    "lock_batch",
    "read_locked",
    "read_parts",
    "write_part",
    "write_standing",
]

_LAST: Final = 2**63 - 1


async def lock_batch(part: Part, batch_id: str) -> Row:
    """Return the row of a batch job, and the time; nobody else changes it until the transaction ends.

    Raises:
        BatchJobNotFoundError
    """
    row = await part.fetchrow("batches/get_batch_locked", batch_id, part.moment)
    if row is None:
        raise BatchJobNotFoundError(batch_id)
    return row


async def read_locked(part: Part, batch_id: str) -> tuple[BatchJobData, datetime]:
    """Return a batch job as `lock_batch` does. Who changes its parts has locked it, so they stay as they are, too."""
    *row, now = tuple(await lock_batch(part, batch_id))
    return batch_from_row(row), now


async def read_parts(part: Part, batch_id: str, first: int = 0, last: int = _LAST) -> list[BatchPart]:
    """Return the parts of a batch job with numbers from `first` to `last`."""
    return [_part(row) for row in await part.fetch("batch_parts/get_parts", batch_id, first, last)]


async def find_part(part: Part, batch_id: str, number: int) -> BatchPart:
    """Return a part of a batch job.

    Raises:
        BatchJobNotFoundError: there is no such part.
    """
    found = await read_parts(part, batch_id, number, number)
    if not found:
        raise BatchJobNotFoundError(batch_id)
    return found[0]


async def write_part(part: Part, batch_id: str, after: BatchPart) -> None:
    """Write what becomes of a part."""
    standing = (after.steps, after.cursor, after.done, encode_counts(after.counts), after.is_done)
    whose = (batch_id, after.number, after.job_id, after.run)
    await part.execute("batch_parts/start_part", *whose, *standing, text_column(after.error))


async def write_standing(part: Part, batch: BatchJobData) -> None:
    """Write where the parts of a batch job stand together."""
    told = (batch.done, batch.total, encode_counts(batch.counts), text_column(batch.message), batch.retries)
    values = (batch.id, batch.updated_at, batch.revision, *told, batch.parts, batch.parts_done)
    await part.execute("batch_parts/end_part", *values)


async def add_work(part: Part, jobs: Sequence[NewJob]) -> None:
    """Add jobs that work for a batch job.

    Raises:
        DuplicateJobError: another job has the id of one; what was done in the transaction is not to stay.
    """
    for job, receipt in zip(jobs, await save_jobs(part, jobs), strict=True):
        if receipt.outcome is not Added.ADDED:
            raise refusal(job, receipt.outcome)


def _part(row: Row) -> BatchPart:
    number, span, job_id, run, steps, cursor, done, counts, is_done, error = row
    told = None if error is None else error.decode()
    return BatchPart(number, span, job_id, run, steps, cursor, done, decode_counts(counts), is_done, told)
