"""Faults in batch jobs: what zombies write, and what is done twice or by halves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor._builtin.memory.batches import MemoryBatches
from conveyor.model.batches.status import ENDED_STATUSES, BatchStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.batches.values import BatchChange, BatchJobData, BatchStep, NewBatchJob, RowError, StrandedBatch
    from conveyor.model.job import NewJob


class RunsNotCompared(MemoryBatches):
    """Keeps the steps of whoever was there first, though another run has begun."""

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        record = self._record(batch_id)
        return await super().save_step(batch_id, record.batch.run or run, step)


class ChangesOfZombies(MemoryBatches):
    """Lets a run that was lost end the batch job."""

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        record = self._record(batch_id)
        own = change.run if record.batch.run is None else record.batch.run
        return await super().change_batch(batch_id, change if change.run is None else evolve(change, run=own))


class JobAddedBefore(MemoryBatches):
    """Adds the job first, and then sees whether the change can be made."""

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        if change.job is not None and self._record(batch_id).batch.status is BatchStatus.FAILED:
            self._add(change.job)
        return await super().change_batch(batch_id, change)


class JobsAddedApart(MemoryBatches):
    """Changes the batch job, lets others in, and then adds the job, or finds that it cannot."""

    _late: NewJob | None = None

    def _add(self, job: NewJob) -> None:
        self._late = job

    async def create_batch(self, batch: NewBatchJob, job: NewJob, /) -> BatchJobData:
        return await self._then_add(await super().create_batch(batch, job))

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        return await self._then_add(await super().change_batch(batch_id, change))

    async def _then_add(self, batch: BatchJobData) -> BatchJobData:
        await checkpoint()
        job, self._late = self._late, None
        if job is not None:
            super()._add(job)
        return batch


class ChangesForgotten(MemoryBatches):
    """Does not know a change again."""

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        self._record(batch_id).change_ids.clear()
        return await super().change_batch(batch_id, change)


class StepsSavedAgain(MemoryBatches):
    """Keeps a step whatever its number."""

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        number = self._record(batch_id).batch.steps + 1
        return await super().save_step(batch_id, run, evolve(step, number=max(step.number, number)))


class ErrorsOfZombies(MemoryBatches):
    """Writes bad rows down before it looks who says so."""

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        self._record(batch_id).errors.update({error.row_number: error for error in step.errors})
        return await super().save_step(batch_id, run, step)


class ErrorsOfAnyLook(MemoryBatches):
    """Keeps the bad rows that a look found, whoever looks, and however late."""

    async def save_errors(self, batch_id: str, job_id: str, errors: Sequence[RowError], /) -> BatchStatus:
        record = self._record(batch_id)
        record.errors.update({error.row_number: error for error in errors})
        return record.batch.status


class ErrorsOfLooksKept(MemoryBatches):
    """Takes what a look found for what the run found that came after it."""

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        record = self._record(batch_id)
        errors = dict(record.errors)
        after = await super().change_batch(batch_id, change)
        record.errors.update(errors)
        return after


class IdentityCheckedBefore(MemoryBatches):
    """Looks whether the same is there, and creates it later."""

    async def create_batch(self, batch: NewBatchJob, job: NewJob, /) -> BatchJobData:
        made = await super().create_batch(evolve(batch, identity=None), job)
        await checkpoint()
        record = self._record(batch.id)
        record.batch = evolve(record.batch, identity=batch.identity)
        return evolve(made, identity=batch.identity)


class SettledJobsNotSeen(MemoryBatches):
    """Takes a job that is there for one that will run."""

    async def find_stranded(self, *, limit: int = 100) -> Sequence[StrandedBatch]:
        return [one for one in await super().find_stranded(limit=limit) if one.job is None]


class NewestRemoved(MemoryBatches):
    """Keeps as many of a type as it should, and the wrong ones."""

    async def remove_ended(
        self, age: timedelta | None, /, *, most: int | None = None, limit: int = 100
    ) -> Sequence[BatchJobData]:
        if age is not None or most is None:
            return await super().remove_ended(age, most=most, limit=limit)
        ended = sorted(
            (one for one in self._batches() if one.status in ENDED_STATUSES), key=lambda one: (one.updated_at, one.id)
        )
        removed = [one for one in ended if sum(one.batch_type == other.batch_type for other in ended) > most][-limit:]
        for batch in removed:
            del self._records[batch.id]
        return removed
