"""The bench for parts of batch jobs: what conformance tests divide, begin, step and end them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from conveyor.model.batches.parts import NewBatchPart, PartStart
from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.testing.conformance.batch_bench import BATCH, RUN, BatchBench, bench_of
from conveyor.testing.conformance.kit import needs

if TYPE_CHECKING:
    from conveyor.contracts.store import BatchPartStore
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.values import BatchJobData, BatchStep
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["FIRST", "SECOND", "WAYS", "PartBench"]

# The tokens of the parts' runs.
FIRST: Final = "run-of-1"
SECOND: Final = "run-of-2"
# How a batch job that is divided comes to each status in which a part of it may be open.
WAYS: Final = {
    BatchStatus.PROCESSING: (),
    BatchStatus.INTERRUPTED: (BatchCommand.INTERRUPT,),
    BatchStatus.PAUSING: (BatchCommand.PAUSE,),
    BatchStatus.PAUSED: (BatchCommand.PAUSE, BatchCommand.STOP),
    BatchStatus.CONFIRMED: (BatchCommand.PAUSE, BatchCommand.STOP, BatchCommand.RESUME),
    BatchStatus.CANCELLING: (BatchCommand.CANCEL,),
    BatchStatus.CANCELLED: (BatchCommand.CANCEL, BatchCommand.STOP),
    BatchStatus.FAILED: (BatchCommand.FAIL,),
}


class PartBench:
    """A batch job in two parts: the job of the batch job works for the first, a job of its own for the second."""

    def __init__(self, workshop: Workshop) -> None:
        """Take the facet of the workshop's store, which must have it if it declares it."""
        needs(workshop.store.capabilities.has_batch_parts, "has_batch_parts")
        self.batches: BatchBench = bench_of(workshop)
        assert workshop.store.batch_parts is not None, "a store that declares has_batch_parts has the facet"
        self.facet: BatchPartStore = workshop.store.batch_parts

    def new(self) -> list[NewBatchPart]:
        """Return the parts to keep."""
        return [NewBatchPart(1, b"\x00[1]"), NewBatchPart(2, b"[2]", self.batches.job("part-2"))]

    async def divide(self) -> BatchJobData:
        """Bring a batch job to where it is processed, and divide it."""
        await self.batches.bring(BatchStatus.PROCESSING)
        await self.facet.divide_batch(BATCH, RUN, self.new())
        return await self.batches.get()

    async def start(self, number: int, **fields: Any) -> BatchPart:
        """Begin the run of a part for the job that works for it."""
        job_id = (await self.part(number)).job_id
        start = PartStart(number, FIRST if number == 1 else SECOND, job_id, job_id)
        return await self.facet.start_part(BATCH, evolve(start, **fields))

    async def begin(self) -> BatchJobData:
        """Divide a batch job, and begin the runs of both parts."""
        await self.divide()
        await self.start(1)
        await self.start(2)
        return await self.batches.get()

    async def part(self, number: int) -> BatchPart:
        """Return a part, which must be there."""
        return {part.number: part for part in await self.facet.get_parts(BATCH)}[number]

    def step(self, part: int, number: int = 1, **fields: Any) -> BatchStep:
        """Return a step of a part after which ten rows more of it are done."""
        return self.batches.step(number, part=part, **fields)

    async def save(self, part: int, number: int = 1, **fields: Any) -> BatchStatus:
        """Save a step of a part."""
        return await self.batches.save(self.step(part, number, **fields), run=FIRST if part == 1 else SECOND)

    async def end(self, part: int, **fields: Any) -> BatchPart:
        """End the run of a part."""
        return await self.facet.end_part(BATCH, part, FIRST if part == 1 else SECOND, **fields)

    async def bring(self, status: BatchStatus) -> BatchJobData:
        """Divide a batch job, begin the runs of both parts, and bring it to a status of `WAYS`."""
        batch = await self.begin()
        for command in WAYS[status]:
            batch = await self.batches.ask(command)
        assert batch.status is status
        return batch
