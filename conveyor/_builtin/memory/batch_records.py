"""What the memory store keeps of a batch job, and how the jobs that come with one are added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define

from conveyor._builtin.memory.adding import add_jobs, is_same_add
from conveyor.errors import BatchJobNotFoundError
from conveyor.model.queries import Added
from conveyor.model.schedules.firing import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.values import BatchJobData, RowError
    from conveyor.model.job import NewJob

__all__ = ["BatchRecord", "add_work", "find_part", "find_record"]


@define(eq=False)
class BatchRecord:
    """A batch job, what it was created as, the changes it has seen, and its bad rows and its parts by number."""

    batch: BatchJobData
    digest: bytes
    change_ids: set[str] = Factory(set)
    errors: dict[int, RowError] = Factory(dict)
    parts: dict[int, BatchPart] = Factory(dict)


def find_record(tables: Tables, batch_id: str) -> BatchRecord:
    """Return the record of a batch job.

    Raises:
        BatchJobNotFoundError
    """
    record = tables.batches.get(batch_id)
    if record is None:
        raise BatchJobNotFoundError(batch_id)
    return record


def find_part(record: BatchRecord, number: int) -> BatchPart:
    """Return a part of a batch job.

    Raises:
        BatchJobNotFoundError: it has no such part.
    """
    part = record.parts.get(number)
    if part is None:
        raise BatchJobNotFoundError(record.batch.id)
    return part


def add_work(tables: Tables, jobs: Sequence[NewJob]) -> None:
    """Add jobs that work for a batch job, all or none; one that is there already is the same.

    Raises:
        DuplicateJobError: another job has the id of one.
    """
    for job in jobs:
        known = tables.jobs.get(job.id)
        if known is not None and not is_same_add(known, job):
            raise refusal(job, Added.DUPLICATE)
    add_jobs(tables, jobs)
