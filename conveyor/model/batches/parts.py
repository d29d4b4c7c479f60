"""Parts of a batch job, which are worked on at the same time: what stores keep of them, and the rules they keep.

Each part has a cursor, counts and a run of its own. What its steps add is added to the batch job in the same step, so
that the batch job always stands where all its parts do together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from conveyor.errors import BatchRunLostError, ConveyorInternalError
from conveyor.model.batches.changing import STEPPED_STATUSES
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import RowOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.batches.values import BatchJobData, BatchStep
    from conveyor.model.job import NewJob

__all__ = [
    "PART_STATUSES",
    "BatchPart",
    "NewBatchPart",
    "PartStart",
    "PartStatus",
    "check_dividing",
    "divided",
    "part_assigned",
    "part_ended",
    "part_started",
    "part_stepped",
    "seen_by_part",
]

# In these the parts of a batch job go on, also while the job that leads them changes its worker.
PART_STATUSES: Final = STEPPED_STATUSES | {BatchStatus.INTERRUPTED}
# In these a run of a part may begin.
_STARTED_FROM: Final = frozenset({BatchStatus.PROCESSING, BatchStatus.INTERRUPTED})


class PartStatus(StrEnum):
    """Where a part stands."""

    # No run has begun since its job was added.
    WAITING = "waiting"
    # A run began; whether it still goes on, its job tells.
    PROCESSING = "processing"
    FAILED = "failed"
    COMPLETED = "completed"


@frozen
class NewBatchPart:
    """A part to keep.

    Attributes:
        number: counted from 1.
        span: what belongs to it, as JSON: stores keep it, and do not look into it.
        job: the job that works for it; None: the one that works for the batch job does.
    """

    number: int
    span: bytes
    job: NewJob | None = None


@frozen
class BatchPart:
    """A part as the store has it.

    Attributes:
        number: counted from 1.
        span: what belongs to it, as JSON.
        job_id: the job that works for it now, or did last.
        run: the token of the run that works on it, or did last; None: none has begun for that job.
        steps, cursor, done, counts: as those of `BatchJobData`, for its own rows.
        is_done: whether all its rows are through.
        error: why its last run failed.
    """

    number: int
    span: bytes
    job_id: str
    run: str | None = None
    steps: int = 0
    cursor: bytes | None = None
    done: int = 0
    counts: Mapping[RowOutcome, int] = field(factory=dict)
    is_done: bool = False
    error: str | None = None

    @property
    def status(self) -> PartStatus:
        """Where it stands."""
        if self.is_done:
            return PartStatus.COMPLETED
        if self.error is not None:
            return PartStatus.FAILED
        return PartStatus.WAITING if self.run is None else PartStatus.PROCESSING


@frozen
class PartStart:
    """The beginning of a part's run.

    Attributes:
        number: which part.
        run: the token of the run.
        job_id: the job that works for the part from now on.
        if_job_id: the job that must work for it so far.
    """

    number: int
    run: str
    job_id: str
    if_job_id: str


def check_dividing(batch: BatchJobData, run: str) -> None:
    """Refuse a run that does not lead the parts of a batch job.

    Raises:
        BatchRunLostError: another run of the batch job began since, or this one has ended.
    """
    if batch.run != run or batch.status not in STEPPED_STATUSES:
        raise BatchRunLostError(batch.id, run)


def divided(
    batch: BatchJobData, new: Sequence[NewBatchPart], now: datetime
) -> tuple[BatchJobData, tuple[BatchPart, ...]]:
    """Return a batch job once it is divided, and its parts.

    Raises:
        ConveyorInternalError: there are none, or two of one number.
    """
    if not new or len({part.number for part in new}) < len(new):
        raise ConveyorInternalError(f"batch job {batch.id!r} is divided into {[part.number for part in new]}")
    parts = [BatchPart(part.number, part.span, str(batch.job_id) if part.job is None else part.job.id) for part in new]
    after = evolve(batch, updated_at=now, revision=batch.revision + 1, parts=len(parts))
    return after, tuple(sorted(parts, key=lambda part: part.number))


def part_assigned(part: BatchPart, job: NewJob) -> BatchPart:
    """Return a part once another job works for it; one that is done, or that the job works for, stays as it is."""
    if part.is_done or part.job_id == job.id:
        return part
    return evolve(part, job_id=job.id, run=None, error=None)


def part_started(batch: BatchJobData, part: BatchPart, start: PartStart) -> BatchPart:
    """Return a part once a run of it began; the same again changes nothing.

    Raises:
        BatchRunLostError: it is done, another job works for it, or the batch job is not processed.
    """
    if part.is_done or batch.status not in _STARTED_FROM:
        raise BatchRunLostError(batch.id, start.run)
    if part.run == start.run:
        return part
    if part.job_id != start.if_job_id:
        raise BatchRunLostError(batch.id, start.run)
    return evolve(part, run=start.run, job_id=start.job_id, error=None)


def part_stepped(
    batch: BatchJobData, part: BatchPart, run: str, step: BatchStep, now: datetime
) -> tuple[BatchJobData, BatchPart]:
    """Return a batch job and its part after a step of the part's run; one that was saved before changes nothing.

    Raises:
        BatchRunLostError: another run of the part began since, this one has ended, or the batch job is not processed.
    """
    if part.run != run or part.is_done or part.error is not None or batch.status not in PART_STATUSES:
        raise BatchRunLostError(batch.id, run)
    if step.number <= part.steps:
        return batch, part
    after = evolve(part, steps=step.number, cursor=step.cursor, done=step.done, counts=dict(step.counts))
    is_forward = step.done > part.done or step.cursor != part.cursor
    counts = Counter(batch.counts)
    counts.update(step.counts)
    counts.subtract(part.counts)
    whole = evolve(
        batch,
        updated_at=now,
        revision=batch.revision + 1,
        done=batch.done + after.done - part.done,
        total=batch.total if step.total is None else step.total,
        counts={outcome: count for outcome, count in counts.items() if count},
        message=step.message,
        retries=0 if is_forward else batch.retries,
    )
    return whole, after


def seen_by_part(batch: BatchJobData, part: BatchPart) -> BatchJobData:
    """Return a batch job as the run of a part sees it: run, cursor and numbers are the part's.

    Where the part's run may save nothing, there is no run. Where only the run that leads was interrupted, it goes on.
    """
    has_run = batch.status in PART_STATUSES and not part.is_done and part.error is None
    status = BatchStatus.PROCESSING if batch.status is BatchStatus.INTERRUPTED else batch.status
    run = part.run if has_run else None
    return evolve(
        batch, status=status, run=run, steps=part.steps, cursor=part.cursor, done=part.done, counts=part.counts
    )


def part_ended(
    batch: BatchJobData, part: BatchPart, run: str, error: str | None, now: datetime
) -> tuple[BatchJobData, BatchPart]:
    """Return a batch job and its part after a run of it ended, done or with an error; the same again changes nothing.

    Raises:
        BatchRunLostError: as for `part_stepped`.
    """
    if part.run != run or batch.status not in PART_STATUSES:
        raise BatchRunLostError(batch.id, run)
    if part.is_done or part.error is not None:
        return batch, part
    after = evolve(part, is_done=error is None, error=error)
    parts_done = batch.parts_done + after.is_done
    return evolve(batch, updated_at=now, revision=batch.revision + 1, parts_done=parts_done), after
