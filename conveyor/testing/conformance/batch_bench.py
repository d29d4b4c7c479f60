"""The bench for batch jobs: what conformance tests create, bring to a status and change batch jobs with."""

from __future__ import annotations

import secrets
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from conveyor.model.batches.status import TRANSITIONS, BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchChange, BatchFilter, BatchStep, NewBatchJob, RowOutcome
from conveyor.testing.conformance.kit import needs
from conveyor.testing.conformance.workshop import QUEUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.store import BatchStore
    from conveyor.model.batches.values import BatchJobData, RowError
    from conveyor.model.job import NewJob
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BATCH", "OTHER_RUN", "RUN", "TYPE", "BatchBench", "bench_of"]

BATCH: Final = "b"
TYPE: Final = "import"
RUN: Final = "run-1"
OTHER_RUN: Final = "run-2"


def _ways() -> Mapping[BatchStatus, Sequence[BatchCommand]]:
    """Return the shortest way from CREATED to each status."""
    ways: dict[BatchStatus, tuple[BatchCommand, ...]] = {BatchStatus.CREATED: ()}
    todo = deque(ways)
    while todo:
        status = todo.popleft()
        for command, after in TRANSITIONS[status].items():
            if after not in ways:
                ways[after] = (*ways[status], command)
                todo.append(after)
    return ways


_WAYS: Final = _ways()


def bench_of(workshop: Workshop, *, queue: str = QUEUE) -> BatchBench:
    """Return the bench of a store, which must have the facet if it declares it."""
    needs(workshop.store.capabilities.has_batches, "has_batches")
    assert workshop.store.batches is not None, "a store that declares has_batches has the facet"
    return BatchBench(workshop, workshop.store.batches, queue)


class BatchBench:
    """Short ways to the batches facet; each change has an id and a job of its own unless it is given one."""

    def __init__(self, workshop: Workshop, facet: BatchStore, queue: str) -> None:
        """Take the facet of the workshop's store, and the queue that its jobs go to."""
        self.workshop: Workshop = workshop
        self.facet: BatchStore = facet
        self._queue = queue
        # Two benches may change one batch job.
        self._name = secrets.token_hex(4)
        self._numbers = count(1)

    def job(self, job_id: str | None = None) -> NewJob:
        """Return a job to add, with an id of its own where it is given none."""
        return self.workshop.new(job_id or f"job-{self._name}-{next(self._numbers)}", queue=self._queue)

    def new(self, batch_id: str = BATCH, **fields: Any) -> NewBatchJob:
        """Return a batch job to create."""
        return evolve(NewBatchJob(batch_id, TYPE, b'{"file": 1}'), **fields)

    async def create(self, batch_id: str = BATCH, **fields: Any) -> BatchJobData:
        """Create a batch job, and the job ``{batch_id}-pre`` with it."""
        return await self.facet.create_batch(self.new(batch_id, **fields), self.job(f"{batch_id}-pre"))

    def change(self, command: BatchCommand, **fields: Any) -> BatchChange:
        """Return a change that has what its command may need; it is asked by people, except for START."""
        run = RUN if command is BatchCommand.START else None
        change = BatchChange(f"change-{self._name}-{next(self._numbers)}", command, run=run, job=self.job())
        return evolve(change, **fields)

    async def ask(self, command: BatchCommand, batch_id: str = BATCH, **fields: Any) -> BatchJobData:
        """Change a batch job."""
        return await self.facet.change_batch(batch_id, self.change(command, **fields))

    async def bring(self, status: BatchStatus, batch_id: str = BATCH, **fields: Any) -> BatchJobData:
        """Create a batch job and bring it to a status, the shortest way."""
        batch = await self.create(batch_id, **fields)
        for command in _WAYS[status]:
            batch = await self.ask(command, batch_id)
        assert batch.status is status
        return batch

    async def get(self, batch_id: str = BATCH) -> BatchJobData:
        """Return a batch job, which must be there."""
        batch = await self.facet.get_batch(batch_id)
        assert batch is not None, f"there should be a batch job {batch_id}"
        return batch

    def step(self, number: int = 1, **fields: Any) -> BatchStep:
        """Return a step after which ten rows more are done."""
        done = number * 10
        return evolve(BatchStep(number, f"{done}".encode(), done, counts={RowOutcome.DONE: done}), **fields)

    async def save(self, step: BatchStep, batch_id: str = BATCH, *, run: str = RUN) -> BatchStatus:
        """Save a step."""
        return await self.facet.save_step(batch_id, run, step)

    async def save_errors(self, errors: Sequence[RowError], batch_id: str = BATCH) -> BatchStatus:
        """Keep bad rows that the job which works for a batch job found."""
        batch = await self.get(batch_id)
        return await self.facet.save_errors(batch_id, batch.job_id or "", errors)

    async def found(self, wanted: BatchFilter | None = None, **keywords: Any) -> list[str]:
        """Return the ids of a page of batch jobs; without a filter all are meant."""
        page = await self.facet.find_batches(wanted or BatchFilter(), **keywords)
        return [batch.id for batch in page.batches]

    async def stranded(self, *, limit: int = 100) -> list[tuple[str, str | None]]:
        """Return the ids of stranded batch jobs, and of their jobs."""
        found = await self.facet.find_stranded(limit=limit)
        return [(one.batch.id, None if one.job is None else one.job.id) for one in found]

    async def jobs(self) -> set[str]:
        """Return the ids of all jobs that wait."""
        return set(await self.workshop.fetch_order())
