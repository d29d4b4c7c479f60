"""The batches facet: batch jobs, how far they are, and their bad rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import (
        BatchChange,
        BatchFilter,
        BatchJobData,
        BatchPage,
        BatchStep,
        NewBatchJob,
        RowError,
        StrandedBatch,
    )
    from conveyor.model.job import NewJob

__all__ = ["BatchStore"]


class BatchStore(Protocol):
    """Every change of status is a compare-and-set, and adds the job that works on in the same step.

    So a batch job never waits for a job that nobody added. What a change makes of a batch job is decided by
    `conveyor.model.batches.changing`; the store keeps it. Jobs that come with batch jobs have no deduplication and no
    group: they are added, or all is refused.
    """

    async def create_batch(self, batch: NewBatchJob, job: NewJob, /) -> BatchJobData:
        """Keep a batch job as CREATED, and add the job that pre-processes it, in one step; return it.

        The same again (same id, batch type, context) returns what is there by now, and adds nothing.

        Raises:
            DuplicateBatchJobError: another has the id; or one of the type has the same identity and is neither failed
                nor cancelled. Nothing was done.
            DuplicateJobError: another job has the id of the job; nothing was done.
        """
        ...

    async def get_batch(self, batch_id: str, /) -> BatchJobData | None:
        """Return a batch job with its history, or None."""
        ...

    async def find_batches(self, wanted: BatchFilter, /, *, cursor: str | None = None, limit: int = 100) -> BatchPage:
        """Return batch jobs that match, the newest first, those of one time by id; cursor: of the page before.

        Raises:
            ConfigurationError: the cursor is none of this store's.
        """
        ...

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        """Change the status, write what the change holds, add its job, all in one step; return what there is then.

        The same change again (by `BatchChange.id`) returns what is there by now, and changes nothing.

        Raises:
            BatchJobNotFoundError
            InvalidBatchStatusError: the command is not legal in its status, or completes it while a part is not done.
            BatchRunLostError: a run asks, and another began since; or another job works for it than the one named.
            DuplicateBatchJobError: it failed, is to be tried again, and another has its identity by now.
            DuplicateJobError: another job has the id of the job.
            In all these cases nothing was done.

        A START that is the first, and a RESTART, forget the bad rows that `save_errors` kept, in the same step.
        """
        ...

    async def save_errors(self, batch_id: str, job_id: str, errors: Sequence[RowError], /) -> BatchStatus:
        """Keep bad rows that the job which works for it found before anything is processed; return the status.

        They are kept in CREATED alone, all of them or none; each takes the place of what was kept of its row.

        Raises:
            BatchJobNotFoundError
            BatchRunLostError: another job works for it; nothing was kept.
        """
        ...

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Keep how far a run is, with the rows that failed, in one step; return the status, which may tell it to stop.

        Errors of rows that are mended (`BatchStep.mended`) are forgotten.

        A step whose number was saved before changes nothing. It may be saved in PROCESSING, PAUSING and CANCELLING.
        A step of a part (`BatchStep.part`) is kept with the part, and what it adds with the batch job, as
        `conveyor.model.batches.parts.part_stepped` says. Its run is the part's; it may be saved in INTERRUPTED, too.

        Raises:
            BatchJobNotFoundError
            BatchRunLostError: another run began since, or this one has ended; nothing was kept.
        """
        ...

    async def get_errors(self, batch_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return its bad rows with numbers above `after`, by number; at most so many."""
        ...

    async def find_stranded(self, *, limit: int = 100) -> Sequence[StrandedBatch]:
        """Return batch jobs for which a job should wait or run, and none does: it was removed, or is settled.

        Those are of the statuses in `WORKED_STATUSES`. The oldest first, at most so many.
        """
        ...

    async def remove_batch(self, batch_id: str, /) -> None:
        """Delete a batch job that has ended, with its history and its bad rows.

        Raises:
            BatchJobNotFoundError
            InvalidBatchStatusError: it has not ended.
        """
        ...

    async def remove_ended(
        self, age: timedelta | None, /, *, most: int | None = None, limit: int = 100
    ) -> Sequence[BatchJobData]:
        """Delete batch jobs that have ended and are to be kept no longer, at most so many, the oldest end first.

        They ended so long ago or longer; or more than `most` of their type have ended, and later. What is None says
        nothing. One stays while another that has not ended has it as its parent, whose bad rows that takes up. Return
        those that were deleted, so that their files can go, too.
        """
        ...
