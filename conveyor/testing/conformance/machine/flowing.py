"""What the reference makes of flows: who waits for whom, and what parents are told when their children end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from conveyor.model.flows import ChildOutcome
from conveyor.model.options import ChildFailurePolicy
from conveyor.model.states import JobState
from conveyor.testing.conformance.machine.tables import ReferenceTables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt
    from conveyor.testing.conformance.machine.tables import ReferenceJob

__all__ = ["ReferenceChild", "ReferenceFlows"]

OUTCOMES = {
    JobState.COMPLETED: ChildOutcome.COMPLETED,
    JobState.FAILED: ChildOutcome.FAILED,
    JobState.CANCELLED: ChildOutcome.CANCELLED,
}


@define
class ReferenceChild:
    """That a parent waits, or waited, for a child, and what it heard of it."""

    parent_id: str
    child: NewJob
    outcome: ChildOutcome | None = None
    result: bytes | None = None


@define
class ReferenceParent:
    """How a job goes on that has children. `failures` are forgiven by its rerun; `delay` begins once.

    `shape` is of the whole flow that it is the root of.
    """

    policy: ChildFailurePolicy
    delay: timedelta | None
    failures: int = 0
    shape: tuple[object, ...] | None = None


class ReferenceFlows(ReferenceTables):
    """Edges in the order of adding, and what is kept of parents, by id."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.edges: list[ReferenceChild] = []
        self.parents: dict[str, ReferenceParent] = {}

    def children(self, parent_id: str) -> list[tuple[object, ...]]:
        """Return what a parent knows of its children."""
        known = [edge for edge in self.edges if edge.parent_id == parent_id]
        return [(one.child.id, one.child.queue_name, one.child.name, one.outcome, one.result) for one in known]

    def parent_ids(self, child_id: str) -> list[str]:
        """Return who waits, or waited, for a job."""
        return [edge.parent_id for edge in self.edges if edge.child.id == child_id]

    def is_late_child(self, job: ReferenceJob) -> bool:
        """Whether somebody waits for a job that may not begin any more."""
        return job.is_expired(self.now()) and any(edge.child.id == job.new.id for edge in self.edges)

    def ghosts(self) -> set[str]:
        """Return the ids of children whose records are gone: an id of theirs is free, and what it means is open."""
        return {edge.child.id for edge in self.edges} - {job.new.id for job in self.jobs}

    def link(self, parent_id: str, child: NewJob) -> None:
        """Let a job wait for another."""
        if all((edge.parent_id, edge.child.id) != (parent_id, child.id) for edge in self.edges):
            self.edges.append(ReferenceChild(parent_id, child))

    def note_parent(self, job: NewJob, delay: timedelta | None) -> None:
        """Keep how a job goes on, unless that is known."""
        self.parents.setdefault(job.id, ReferenceParent(job.options.on_child_failure, delay))

    def tell_of_ends(self, jobs: Sequence[ReferenceJob]) -> None:
        """Tell the parents of jobs that have ended, and let those go on that wait."""
        for job in jobs:
            outcome = OUTCOMES.get(job.state)
            if outcome is not None:
                self._tell(job.new.id, outcome, job.result)
            else:
                self._go_on(job)

    def forget_children(self, jobs: Sequence[ReferenceJob]) -> None:
        """Forget what jobs that are gone knew of their children."""
        gone = {job.new.id for job in jobs}
        self.edges = [edge for edge in self.edges if edge.parent_id not in gone]
        self.parents = {id: parent for id, parent in self.parents.items() if id not in gone}

    def forget_in_flows(self, jobs: Sequence[ReferenceJob]) -> None:
        """Forget what jobs knew of their children, and tell their own parents that they are gone."""
        self.forget_children(jobs)
        for job in jobs:
            self._tell(job.new.id, ChildOutcome.REMOVED, None)

    def reopen(self, job: ReferenceJob) -> JobState:
        """Note that a job runs again; return whether it waits for children first."""
        for edge in self.edges:
            if edge.child.id == job.new.id and edge.outcome is not None:
                if edge.outcome is not ChildOutcome.COMPLETED:
                    parent = self.parents[edge.parent_id]
                    parent.failures = max(parent.failures - 1, 0)
                edge.outcome = edge.result = None
        own = self.parents.get(job.new.id)
        if own is not None:
            own.failures = 0
        return JobState.WAITING_CHILDREN if self._has_open_children(job.new.id) else JobState.WAITING

    def _tell(self, child_id: str, outcome: ChildOutcome, result: bytes | None) -> None:
        heard = [edge for edge in self.edges if edge.child.id == child_id and edge.outcome is None]
        for edge in heard:
            edge.outcome, edge.result = outcome, result
            parent = self.parents[edge.parent_id]
            is_failure = outcome is not ChildOutcome.COMPLETED
            if is_failure and parent.policy is ChildFailurePolicy.REMOVE:
                self.edges.remove(edge)
            else:
                parent.failures += is_failure
        for edge in heard:
            job = self.find(edge.parent_id)
            if job is not None:
                self._go_on(job)

    def _go_on(self, job: ReferenceJob) -> None:
        if job.state is not JobState.WAITING_CHILDREN:
            return
        parent = self.parents.get(job.new.id)
        if parent is not None and parent.failures and parent.policy is ChildFailurePolicy.FAIL:
            job.state, job.finished_at, job.error = JobState.FAILED, self.now(), "a child failed"
            self._tell(job.new.id, ChildOutcome.FAILED, None)
        elif not self._has_open_children(job.new.id):
            now, delay = self.now(), None if parent is None else parent.delay
            if parent is not None:
                parent.delay = None
            job.run_at = max(job.run_at, now if delay is None else now + delay)
            job.state = JobState.DELAYED if job.run_at > now else JobState.WAITING

    def _has_open_children(self, parent_id: str) -> bool:
        return any(edge.parent_id == parent_id and edge.outcome is None for edge in self.edges)

    def add_plan(
        self, jobs: Sequence[NewJob], edges: Sequence[tuple[str, str]], add: Callable[[NewJob, bool], AddReceipt]
    ) -> None:
        """Add jobs that are new, parents among them as those that wait, and link them."""
        parents = {parent_id for parent_id, _ in edges}
        new = {job.id: job for job in jobs}
        for job in jobs:
            add(job, job.id in parents)
            if job.id in parents:
                self.note_parent(job, job.delay)
        for parent_id, child_id in edges:
            if child_id in new:
                self.link(parent_id, new[child_id])
