"""The rules of flows: jobs that wait for others are added as a whole, and given more children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from conveyor.errors import JobError
from conveyor.model.flows import Flow, plan_children, plan_flow
from conveyor.model.options import ChildFailurePolicy
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.draws import (
    QUEUES,
    Description,
    FlowShape,
    descriptions,
    flow_shapes,
    ids,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt

__all__ = ["FlowRules"]


class FlowRules(MachineBench):
    """Without a capable store nothing is drawn, and no job waits for another."""

    @property
    def has_flows(self) -> bool:
        """Whether the store has them."""
        return self.workshop.store.flows is not None

    @precondition(lambda self: self.has_flows)
    @rule(shape=flow_shapes)
    def add_flow(self, shape: FlowShape) -> None:
        self.save_flow(shape)

    def save_flow(self, shape: FlowShape) -> None:
        """Add a flow, unless too few of its jobs have ids that are free."""
        described, form, policy = shape
        jobs = [self.new_in_flow(one, policy) for one in self.free(described)]
        if len(jobs) > 1:
            assert self.workshop.store.flows is not None
            plan = plan_flow(_flow(jobs, form))
            assert list(self.ask(self.workshop.store.flows.save_flow(plan))) == self.reference.save_flow(plan)

    @precondition(lambda self: self.has_flows)
    @rule(parent_id=ids, described=st.lists(descriptions, min_size=1, max_size=2, unique_by=lambda one: one[0]))
    def add_children(self, parent_id: str, described: list[Description]) -> None:
        """Add children as an operator does."""
        self.give_children(parent_id, described, None)

    @precondition(lambda self: self.has_flows and self.locks)
    @rule(number=numbers, described=st.lists(descriptions, min_size=1, max_size=2, unique_by=lambda one: one[0]))
    def add_own_children(self, number: int, described: list[Description]) -> None:
        """Add children as a run does, maybe one that has lost its job."""
        lock = self.lock(number)
        self.give_children(lock.job_id, described, lock)

    def give_children(self, parent_id: str, described: Sequence[Description], lock: Lock | None) -> None:
        """Do so in both, and compare."""
        jobs = [self.new_in_flow(one, "fail") for one in self.free(described) if one[0] != parent_id]
        if not jobs:
            return
        parent = self.reference.find(parent_id)
        flow_id = parent_id if parent is None else parent.flow_id or parent_id
        plan = plan_children(parent_id, flow_id, jobs)
        answer = self.ask(self._give_children(parent_id, plan, lock))
        assert answer == self.reference.add_children(parent_id, plan, lock)

    def new_in_flow(self, description: Description, policy: str) -> NewJob:
        """Return a job to be added in a flow, where none has a deduplication key, and few expire."""
        job = self.new(*description)
        # Before each fetch late children are cancelled, and all other late jobs with them. Where a child and its parent
        # in another queue are both late, it is open which ends first, and so how the parent does.
        may_expire = job.options.lifo and job.queue_name == QUEUES[0]
        job = evolve(job, deduplication=None, expires=job.expires if may_expire else None)
        return evolve(job, options=evolve(job.options, on_child_failure=ChildFailurePolicy(policy)))

    async def _give_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None) -> list[AddReceipt] | str:
        assert self.workshop.store.flows is not None
        try:
            return list(await self.workshop.store.flows.add_children(parent_id, plan, lock))
        except JobError as error:
            return type(error).__name__


def _flow(jobs: Sequence[NewJob], form: str) -> Flow:
    """Return the flow of this form whose root is the last of the jobs."""
    *children, root = jobs
    if form == "flat" or len(children) == 1:
        return Flow(root, children)
    first, *above = children
    if form == "shared":
        return Flow(root, [first, *(Flow(job, [first]) for job in above)])
    below: Flow | NewJob = first
    for job in above:
        below = Flow(job, [below])
    return Flow(root, [below])
