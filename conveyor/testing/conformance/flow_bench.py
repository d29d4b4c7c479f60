"""The bench for flows: conformance tests add flows on it, run their jobs as a worker does, and look at parents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

import pytest

from conveyor.model.flows import Child, ChildOutcome, Edge, Flow, FlowPlan, plan_children, plan_flow
from conveyor.model.job import AttemptOutcome
from conveyor.model.outcomes import Completed, Failed
from conveyor.model.queries import Added
from conveyor.model.settlement import Settlement, settle
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.store import FlowStore
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.locks import Lock
    from conveyor.model.options import JobKeywords
    from conveyor.model.outcomes import Outcome

__all__ = ["BROKEN", "DONE", "PARTS", "FlowBench", "FlowKit", "bench_of", "waiting_for_children"]

PARTS: Final = "parts"
DONE: Final = Completed()
BROKEN: Final = Failed(ValueError("the part was too small"), retry=False)


class FlowBench:
    """A workshop whose store has flows. Parents are in `QUEUE`, children in `PARTS`, unless a test says otherwise."""

    def __init__(self, workshop: Workshop, flows: FlowStore) -> None:
        self.workshop: Workshop = workshop
        self.flows: FlowStore = flows

    def part(self, id: str, /, *, queue: str = PARTS, **keywords: Unpack[JobKeywords]) -> NewJob:
        """Return a child to be added."""
        return self.workshop.new(id, queue=queue, **keywords)

    def flow(self, id: str, /, *children: Flow | NewJob, queue: str = QUEUE, **keywords: Unpack[JobKeywords]) -> Flow:
        """Return a parent with its children, to be added."""
        return Flow(self.workshop.new(id, queue=queue, **keywords), children)

    async def add(self, flow: Flow) -> None:
        """Add a flow, all of whose jobs must be new."""
        receipts = await self.flows.save_flow(plan_flow(flow))
        assert {receipt.outcome for receipt in receipts} == {Added.ADDED}

    async def add_pair(self, **keywords: Unpack[JobKeywords]) -> None:
        """Add the parent "top", with these options, and its child "part"."""
        await self.add(self.flow("top", self.part("part"), **keywords))

    def plan(self, parent_id: str, *children: Flow | NewJob) -> FlowPlan:
        """Return children as they are added to a parent that is the root of its flow."""
        return plan_children(parent_id, parent_id, children)

    async def add_children(self, parent_id: str, *children: Flow | NewJob, lock: Lock | None = None) -> list[Added]:
        """Add children to such a parent; return what became of each job."""
        receipts = await self.flows.add_children(parent_id, self.plan(parent_id, *children), lock)
        return [receipt.outcome for receipt in receipts]

    async def fetch(self, queue: str = PARTS) -> JobData:
        """Fetch the next job of a queue, with a session of its own."""
        return await (await self.workshop.hand()).fetch_one(queue=queue)

    async def end(self, job: JobData, outcome: Outcome = DONE, result: bytes | None = None) -> None:
        """End a run as a worker does."""
        settlement = settle(job, outcome, result=result, jitter=0.5)
        assert await self.workshop.settle(settlement) == []

    async def run(self, outcome: Outcome = DONE, *, queue: str = PARTS, result: bytes | None = None) -> JobData:
        """Run the next job of a queue to this end; return it as it was fetched."""
        job = await self.fetch(queue)
        await self.end(job, outcome, result)
        return job

    async def states(self, *job_ids: str) -> list[JobState | None]:
        """Return the states of jobs; None: there is no such job."""
        return [await self.workshop.state(job_id) for job_id in job_ids]

    async def children(self, parent_id: str = "top") -> Sequence[Child]:
        """Return what a parent knows of its children."""
        return await self.flows.get_children(parent_id)

    async def outcomes(self, parent_id: str = "top") -> dict[str, ChildOutcome | None]:
        """Return how a parent's children ended, in their order."""
        return {child.job_id: child.outcome for child in await self.children(parent_id)}

    async def edges(self, *parent_ids: str) -> list[Edge]:
        """Return who waits for whom."""
        return [Edge(parent, child.job_id) for parent in parent_ids for child in await self.children(parent)]

    async def reason(self, job_id: str) -> tuple[str, str]:
        """Return the type and the message of a job's error."""
        error = (await self.workshop.job(job_id)).error
        assert error is not None, f"{job_id} should say why it ended"
        return error.type, error.message


def bench_of(workshop: Workshop) -> FlowBench:
    """Return the bench for a store that has flows."""
    assert workshop.store.flows is not None, "a store that declares has_flows has the facet"
    return FlowBench(workshop, workshop.store.flows)


def waiting_for_children(lock: Lock) -> Settlement:
    """Return how a run ends whose job waits for its children."""
    return Settlement(
        lock.job_id,
        QUEUE,
        lock.token,
        Command.WAIT_FOR_CHILDREN,
        AttemptOutcome.WAITED,
        is_counted=False,
        flow_id=lock.job_id,
    )


class FlowKit(StoreKit):
    """A theme about flows; it is skipped where the store has none."""

    @pytest.fixture
    def bench(self, workshop: Workshop) -> FlowBench:
        """The store under test, with short ways to use its flows."""
        needs(workshop.store.capabilities.has_flows, "has_flows")
        return bench_of(workshop)
