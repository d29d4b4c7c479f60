"""The batch parts facet: batch jobs in parts that are worked on at the same time, each with a run of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.batches.parts import BatchPart, NewBatchPart, PartStart
    from conveyor.model.job import NewJob

__all__ = ["BatchPartStore"]


class BatchPartStore(Protocol):
    """A run of the batch job leads: it divides, and gives each part its job. A run of each part works on that alone.

    What a call makes of a batch job and of its parts is decided by `conveyor.model.batches.parts`; the store keeps
    both in one step. Steps of parts are saved by `BatchStore.save_step` and `OpenTransaction.commit_step`. A batch job
    with a part that is not done is not completed, whoever asks (`BatchStore.change_batch`). Parts are removed with
    their batch job.
    """

    async def divide_batch(self, batch_id: str, run: str, parts: Sequence[NewBatchPart], /) -> Sequence[BatchPart]:
        """Keep the parts of a batch job and add their jobs, in one step; return them, by number.

        Those of one that was divided before are returned as they are, and nothing is added.

        Raises:
            BatchJobNotFoundError
            BatchRunLostError: another run of the batch job began since, or this one has ended.
            DuplicateJobError: another job has the id of a job.
            In all these cases nothing was done.
        """
        ...

    async def get_parts(self, batch_id: str, /) -> Sequence[BatchPart]:
        """Return its parts, by number; none: it is not divided, or not there."""
        ...

    async def assign_part(self, batch_id: str, run: str, number: int, job: NewJob, /) -> BatchPart:
        """Let another job work for a part, and add that, in one step; return the part.

        The run that worked on it so far may write nothing more. A part that is done, or that the job works for, is
        returned as it is, and nothing is added.

        Raises:
            BatchJobNotFoundError: there is no such batch job, or no such part of it.
            BatchRunLostError: another run of the batch job began since, or this one has ended.
            DuplicateJobError: another job has the id of the job.
            In all these cases nothing was done.
        """
        ...

    async def start_part(self, batch_id: str, start: PartStart, /) -> BatchPart:
        """Begin a run of a part; return the part. The run before may write nothing more. The same again is answered.

        Raises:
            BatchJobNotFoundError: there is no such batch job, or no such part of it.
            BatchRunLostError: the part is done, another job works for it than the one named, or the batch job is in
                neither PROCESSING nor INTERRUPTED. Nothing was done.
        """
        ...

    async def end_part(self, batch_id: str, number: int, run: str, /, *, error: str | None = None) -> BatchPart:
        """End a run of a part, which is done by that; or has failed, with this error. The same again is answered.

        Raises:
            BatchJobNotFoundError: there is no such batch job, or no such part of it.
            BatchRunLostError: another run of the part began since, or the batch job is in none of the statuses in which
                steps of parts are saved. Nothing was done.
        """
        ...
