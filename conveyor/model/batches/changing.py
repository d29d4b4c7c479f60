"""What a change, or a step, makes of a batch job: the rules that every store keeps, without the keeping."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor.errors import BatchRunLostError, ConveyorInternalError
from conveyor.model.batches.status import ENDED_STATUSES, BatchCommand, BatchStatus, next_status, refuse
from conveyor.model.batches.values import BatchJobData, StatusChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from conveyor.model.batches.values import BatchChange, BatchFilter, BatchStep, NewBatchJob, RowError
    from conveyor.model.job import NewJob

__all__ = [
    "FREEING_STATUSES",
    "STEPPED_STATUSES",
    "added_job",
    "batch_matches",
    "changed",
    "check_removable",
    "created",
    "creation_digest",
    "forgets_errors",
    "last_errors",
    "stepped",
    "takes_errors",
]

# In these another batch job may have the same identity.
FREEING_STATUSES: Final = frozenset({BatchStatus.FAILED, BatchStatus.CANCELLED})
# In these a run goes on, and saves its steps.
STEPPED_STATUSES: Final = frozenset({BatchStatus.PROCESSING, BatchStatus.PAUSING, BatchStatus.CANCELLING})
# Who comes into these waits for a job, so one is added with the change.
_NEEDS_JOB: Final = frozenset({BatchStatus.CREATED, BatchStatus.CONFIRMED})
# Into these a change may bring another job than the one that worked so far. In others its run goes on, or none does.
_TAKES_JOB: Final = _NEEDS_JOB | {BatchStatus.INTERRUPTED}
_BEGINS_ANEW: Final = frozenset({BatchCommand.RETRY, BatchCommand.RESTART})
_COMPLETES: Final = frozenset({BatchCommand.COMPLETE, BatchCommand.COMPLETE_WITH_ERRORS})
# What is told of an error is over by these.
_CLEARS_ERROR: Final = _BEGINS_ANEW | _COMPLETES


def created(new: NewBatchJob, job: NewJob, now: datetime) -> BatchJobData:
    """Return a batch job as it is when it was created."""
    return BatchJobData(
        new.id,
        new.batch_type,
        BatchStatus.CREATED,
        new.context,
        now,
        now,
        dry_run=new.dry_run,
        confirmation=new.confirmation,
        created_by=new.created_by,
        identity=new.identity,
        parent_id=new.parent_id,
        history=(StatusChange(now, None, BatchStatus.CREATED, by=new.created_by),),
        job_id=job.id,
    )


def creation_digest(new: NewBatchJob) -> bytes:
    """Return 16 bytes by which a store knows the same creation again, whatever became of the context since."""
    # Neither of the names holds a control character.
    place = f"{new.id}\0{new.batch_type}\0".encode()
    return hashlib.blake2b(place + new.context, digest_size=16).digest()


def changed(batch: BatchJobData, change: BatchChange, now: datetime) -> BatchJobData:
    """Return a batch job after a change that it has not seen yet.

    Raises:
        BatchRunLostError: the change is of a run, or of a job, that does not work for it any more.
        InvalidBatchStatusError: the command is not legal in its status, or completes it while a part is not done.
        ConveyorInternalError: the change lacks what its command needs, a job or the token of a run.
    """
    _check_asker(batch, change)
    after = next_status(batch.id, batch.status, change.command)
    _check_parts(batch, change.command)
    _check_whole(batch, change, after)
    line = StatusChange(now, batch.status, after, change.command, change.by, change.reason)
    begins_anew = change.command in _BEGINS_ANEW
    kept_error = None if change.command in _CLEARS_ERROR else batch.error
    job_id = change.job.id if change.job is not None and after in _TAKES_JOB else batch.job_id
    return evolve(
        _with_run(batch, change, now),
        status=after,
        updated_at=now,
        revision=batch.revision + 1,
        history=(*batch.history, line),
        job_id=job_id,
        context=batch.context if change.context is None else change.context,
        result=batch.result if change.result is None else change.result,
        total=batch.total if change.total is None else change.total,
        error=kept_error if change.error is None else change.error,
        retries=0 if begins_anew else batch.retries + change.is_retry,
    )


def added_job(after: BatchJobData, change: BatchChange) -> NewJob | None:
    """Return the job that a change adds, given what it made of the batch job; None: it adds none.

    A job comes along in vain where a run goes on, as after RESUME in PAUSING.
    """
    return change.job if change.job is not None and change.job.id == after.job_id else None


def stepped(batch: BatchJobData, run: str, step: BatchStep, now: datetime) -> BatchJobData:
    """Return a batch job after a step of a run; one that was saved before changes nothing.

    Raises:
        BatchRunLostError: another run began since, or this one has ended.
    """
    if batch.run != run or batch.status not in STEPPED_STATUSES:
        raise BatchRunLostError(batch.id, run)
    if step.number <= batch.steps:
        return batch
    is_forward = step.done > batch.done or step.cursor != batch.cursor
    return evolve(
        batch,
        updated_at=now,
        revision=batch.revision + 1,
        steps=step.number,
        cursor=step.cursor,
        done=step.done,
        total=batch.total if step.total is None else step.total,
        counts=dict(step.counts),
        message=step.message,
        result=batch.result if step.result is None else step.result,
        retries=0 if is_forward else batch.retries,
    )


def takes_errors(batch: BatchJobData, job_id: str) -> bool:
    """Return whether bad rows are kept that a job found before anything is processed: not once that look is over.

    Raises:
        BatchRunLostError: another job works for it.
    """
    if batch.job_id != job_id:
        raise BatchRunLostError(batch.id, job_id)
    return batch.status is BatchStatus.CREATED


def forgets_errors(batch: BatchJobData, change: BatchChange) -> bool:
    """Return whether a change forgets the bad rows that a look found: the first run, or another look, finds its own."""
    is_first_run = change.command is BatchCommand.START and batch.run is None
    return is_first_run or change.command is BatchCommand.RESTART


def check_removable(batch: BatchJobData) -> None:
    """Refuse to remove what may go on by itself.

    Raises:
        InvalidBatchStatusError: it has not ended.
    """
    if batch.status not in ENDED_STATUSES:
        raise refuse(batch.id, batch.status, "remove")


def last_errors(errors: Sequence[RowError]) -> Mapping[int, RowError]:
    """Return errors by row number: of those of one row the last."""
    return {error.row_number: error for error in errors}


def batch_matches(batch: BatchJobData, wanted: BatchFilter) -> bool:
    """Return whether a batch job is one that is meant."""
    return (
        (not wanted.types or batch.batch_type in wanted.types)
        and (not wanted.statuses or batch.status in wanted.statuses)
        and wanted.created_by in {None, batch.created_by}
        and wanted.parent_id in {None, batch.parent_id}
        and (wanted.created_from is None or batch.created_at >= wanted.created_from)
        and (wanted.created_before is None or batch.created_at < wanted.created_before)
        and (wanted.id_prefix is None or batch.id.startswith(wanted.id_prefix))
    )


def _check_asker(batch: BatchJobData, change: BatchChange) -> None:
    is_other_run = change.run is not None and change.command is not BatchCommand.START and change.run != batch.run
    if is_other_run or change.if_job_id not in {None, batch.job_id}:
        raise BatchRunLostError(batch.id, change.run or str(change.if_job_id))


def _check_whole(batch: BatchJobData, change: BatchChange, after: BatchStatus) -> None:
    if after in _NEEDS_JOB and change.job is None:
        raise ConveyorInternalError(f"'{change.command}' of batch job {batch.id!r} comes without a job")
    if change.command is BatchCommand.START and not change.run:
        raise ConveyorInternalError(f"'{change.command}' of batch job {batch.id!r} comes without a run")


def _check_parts(batch: BatchJobData, command: BatchCommand) -> None:
    if command in _COMPLETES and batch.parts_done < batch.parts:
        raise refuse(batch.id, batch.status, command)


def _with_run(batch: BatchJobData, change: BatchChange, now: datetime) -> BatchJobData:
    if change.command is not BatchCommand.START:
        return batch
    return evolve(batch, run=change.run, run_started_at=now, run_started_from=batch.done)
