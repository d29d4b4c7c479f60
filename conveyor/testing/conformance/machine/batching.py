"""What the reference makes of batch jobs: where each stands, with its bad rows, its parts, and the jobs it brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from attrs import Factory, define

from conveyor.errors import BatchJobError
from conveyor.model.batches.changing import (
    FREEING_STATUSES,
    added_job,
    changed,
    check_removable,
    created,
    forgets_errors,
    last_errors,
    stepped,
    takes_errors,
)
from conveyor.model.batches.parts import (
    check_dividing,
    divided,
    part_assigned,
    part_ended,
    part_started,
    part_stepped,
)
from conveyor.model.batches.status import ENDED_STATUSES, WORKED_STATUSES
from conveyor.model.queries import Added
from conveyor.model.states import SETTLED_STATES
from conveyor.testing.conformance.machine.buffering import ReferenceBuffers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from conveyor.model.batches.parts import BatchPart, NewBatchPart, PartStart
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchChange, BatchJobData, BatchStep, NewBatchJob, RowError
    from conveyor.model.job import NewJob

__all__ = ["ReferenceBatch", "ReferenceBatches"]

T = TypeVar("T")


class RefusedError(Exception):
    """A verb does nothing, for this reason."""


@define
class ReferenceBatch:
    """A batch job, what it was created as, the ids of the changes it has seen, and its bad rows and parts by number."""

    data: BatchJobData
    new: NewBatchJob
    changes: set[str] = Factory(set)
    errors: dict[int, RowError] = Factory(dict)
    parts: dict[int, BatchPart] = Factory(dict)


class ReferenceBatches(ReferenceBuffers):
    """Batch jobs by id. What a change makes of one the model says, as the contract wants it; this keeps it.

    A verb that is refused returns the name of the error.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.batches: dict[str, ReferenceBatch] = {}

    def create_batch(self, new: NewBatchJob, job: NewJob) -> BatchJobData | str:
        """Create a batch job with the job that pre-processes it."""

        def create() -> BatchJobData:
            known = self.batches.get(new.id)
            if known is not None:
                if (new.batch_type, new.context) != (known.new.batch_type, known.new.context):
                    raise RefusedError("DuplicateBatchJobError")
                return known.data
            made = created(new, job, self.now())
            self._check_identity(made)
            self._add_work([job])
            self.batches[new.id] = ReferenceBatch(made, new)
            return made

        return self._done(create)

    def change_batch(self, batch_id: str, change: BatchChange) -> BatchJobData | str:
        """Change the status of a batch job."""

        def change_it() -> BatchJobData:
            batch = self._batch(batch_id)
            if change.id not in batch.changes:
                after = changed(batch.data, change, self.now())
                if batch.data.status in FREEING_STATUSES:
                    self._check_identity(after)
                job = added_job(after, change)
                self._add_work([] if job is None else [job])
                if forgets_errors(batch.data, change):
                    batch.errors.clear()
                batch.data = after
                batch.changes.add(change.id)
            return batch.data

        return self._done(change_it)

    def save_step(self, batch_id: str, run: str, step: BatchStep) -> BatchStatus | str:
        """Keep how far a run is, of a batch job or of a part."""

        def save() -> BatchStatus:
            batch = self._batch(batch_id)
            before = batch.data
            if step.part is None:
                batch.data = stepped(before, run, step, self.now())
            else:
                part = self._part(batch, step.part)
                batch.data, batch.parts[step.part] = part_stepped(before, part, run, step, self.now())
            if batch.data is not before:
                batch.errors |= last_errors(step.errors)
            return batch.data.status

        return self._done(save)

    def save_errors(self, batch_id: str, job_id: str, errors: Sequence[RowError]) -> BatchStatus | str:
        """Keep bad rows that were found before anything was processed."""

        def save() -> BatchStatus:
            batch = self._batch(batch_id)
            if takes_errors(batch.data, job_id):
                batch.errors |= last_errors(errors)
            return batch.data.status

        return self._done(save)

    def divide_batch(self, batch_id: str, run: str, parts: Sequence[NewBatchPart]) -> list[BatchPart] | str:
        """Divide a batch job, unless it is divided."""

        def divide() -> list[BatchPart]:
            batch = self._batch(batch_id)
            check_dividing(batch.data, run)
            if not batch.parts:
                after, made = divided(batch.data, parts, self.now())
                self._add_work([part.job for part in parts if part.job is not None])
                batch.data, batch.parts = after, {part.number: part for part in made}
            return list(batch.parts.values())

        return self._done(divide)

    def assign_part(self, batch_id: str, run: str, number: int, job: NewJob) -> BatchPart | str:
        """Let another job work for a part."""

        def assign() -> BatchPart:
            batch = self._batch(batch_id)
            check_dividing(batch.data, run)
            before = self._part(batch, number)
            after = part_assigned(before, job)
            self._add_work([] if after is before else [job])
            batch.parts[number] = after
            return after

        return self._done(assign)

    def start_part(self, batch_id: str, start: PartStart) -> BatchPart | str:
        """Begin a run of a part."""

        def begin() -> BatchPart:
            batch = self._batch(batch_id)
            batch.parts[start.number] = part_started(batch.data, self._part(batch, start.number), start)
            return batch.parts[start.number]

        return self._done(begin)

    def end_part(self, batch_id: str, number: int, run: str, error: str | None) -> BatchPart | str:
        """End a run of a part."""

        def end() -> BatchPart:
            batch = self._batch(batch_id)
            batch.data, batch.parts[number] = part_ended(batch.data, self._part(batch, number), run, error, self.now())
            return batch.parts[number]

        return self._done(end)

    def remove_batch(self, batch_id: str) -> str | None:
        """Delete a batch job that has ended."""

        def remove() -> None:
            check_removable(self._batch(batch_id).data)
            del self.batches[batch_id]

        return self._done(remove)

    def remove_ended(self, age: timedelta | None, most: int | None, limit: int) -> list[BatchJobData]:
        """Delete what has ended and is to be kept no longer; no two ended at one moment."""
        ended = sorted(
            (one.data for one in self.batches.values() if one.data.status in ENDED_STATUSES),
            key=lambda batch: batch.updated_at,
        )
        outdated: list[BatchJobData] = []
        for place, batch in enumerate(ended):
            later = [other for other in ended[place + 1 :] if other.batch_type == batch.batch_type]
            is_old = age is not None and self.now() - batch.updated_at >= age
            if is_old or (most is not None and len(later) >= most):
                outdated.append(batch)
        for batch in outdated[:limit]:
            del self.batches[batch.id]
        return outdated[:limit]

    def stranded(self) -> list[tuple[str, str | None]]:
        """Return the ids of batch jobs that nobody works for, the oldest first, and of the jobs that did last."""
        worked = [one.data for one in self.batches.values() if one.data.status in WORKED_STATUSES]
        told: list[tuple[str, str | None]] = []
        for batch in sorted(worked, key=lambda batch: (batch.created_at, batch.id)):
            job = self.find(batch.job_id or "")
            if job is None or job.state in SETTLED_STATES:
                told.append((batch.id, None if job is None else job.new.id))
        return told

    def _done(self, verb: Callable[[], T]) -> T | str:
        try:
            return verb()
        except (BatchJobError, RefusedError) as error:
            return str(error) if isinstance(error, RefusedError) else type(error).__name__

    def _batch(self, batch_id: str) -> ReferenceBatch:
        if batch_id not in self.batches:
            raise RefusedError("BatchJobNotFoundError")
        return self.batches[batch_id]

    def _part(self, batch: ReferenceBatch, number: int) -> BatchPart:
        if number not in batch.parts:
            raise RefusedError("BatchJobNotFoundError")
        return batch.parts[number]

    def _check_identity(self, made: BatchJobData) -> None:
        for other in (one.data for one in self.batches.values()):
            is_same = (other.batch_type, other.identity) == (made.batch_type, made.identity)
            if made.identity is not None and is_same and other.id != made.id and other.status not in FREEING_STATUSES:
                raise RefusedError("DuplicateBatchJobError")

    def _add_work(self, jobs: Sequence[NewJob]) -> None:
        before = self.snapshot()
        if any(receipt.outcome is not Added.ADDED for receipt in self.save(jobs)):
            self.restore(before)
            raise RefusedError("DuplicateJobError")
