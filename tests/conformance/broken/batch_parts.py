"""Faults in parts of batch jobs: what zombies write, what is counted twice, and what ends too early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.batch_parts import MemoryBatchParts
from conveyor._builtin.memory.batches import MemoryBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.batches.parts import BatchPart, NewBatchPart, PartStart
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchChange, BatchJobData, BatchStep
    from conveyor.model.job import NewJob


class OpenPartsForgotten(MemoryBatches):
    """Completes a batch job while a part of it is not done."""

    async def change_batch(self, batch_id: str, change: BatchChange, /) -> BatchJobData:
        record = self._record(batch_id)
        done = record.batch.parts_done
        record.batch = evolve(record.batch, parts_done=record.batch.parts)
        try:
            await super().change_batch(batch_id, change)
        finally:
            record.batch = evolve(record.batch, parts_done=done)
        return record.batch


class RunsOfPartsNotCompared(MemoryBatches):
    """Keeps the steps of a part's run though another has begun."""

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        part = self._record(batch_id).parts.get(step.part or 0)
        own = run if part is None or part.run is None else part.run
        return await super().save_step(batch_id, own, step)


class StepsOfPartsAddedAgain(MemoryBatches):
    """Adds a step of a part to the batch job whenever it is asked to."""

    async def save_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        status = await super().save_step(batch_id, run, step)
        if step.part is not None:
            record = self._record(batch_id)
            record.batch = evolve(record.batch, done=record.batch.done + step.done)
        return status


class PartsCountedTwice(MemoryBatchParts):
    """Counts a part as done again when its end is told again."""

    async def end_part(self, batch_id: str, number: int, run: str, /, *, error: str | None = None) -> BatchPart:
        record = self._tables.batches[batch_id]
        if number in record.parts:
            record.parts[number] = evolve(record.parts[number], is_done=False)
        return await super().end_part(batch_id, number, run, error=error)


class DividedAgain(MemoryBatchParts):
    """Divides a batch job anew whenever it is asked to."""

    async def divide_batch(self, batch_id: str, run: str, parts: Sequence[NewBatchPart], /) -> Sequence[BatchPart]:
        if batch_id in self._tables.batches:
            self._tables.batches[batch_id].parts.clear()
        return await super().divide_batch(batch_id, run, parts)


class JobsOfPartsNotCompared(MemoryBatchParts):
    """Begins a run of a part for whoever asks."""

    async def start_part(self, batch_id: str, start: PartStart, /) -> BatchPart:
        part = self._tables.batches[batch_id].parts[start.number]
        return await super().start_part(batch_id, evolve(start, if_job_id=part.job_id))


class OldRunsGoOn(MemoryBatchParts):
    """Leaves a part to the run that worked on it when another job is to."""

    async def assign_part(self, batch_id: str, run: str, number: int, job: NewJob, /) -> BatchPart:
        before = self._tables.batches[batch_id].parts.get(number)
        after = await super().assign_part(batch_id, run, number, job)
        if before is not None and not after.is_done:
            after = self._tables.batches[batch_id].parts[number] = evolve(after, run=before.run)
        return after
