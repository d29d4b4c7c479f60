"""The flows facet of the memory store: flows added as a whole, looked at, and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.adding import add_jobs, is_same_add
from conveyor._builtin.memory.flow_tables import End, Parent
from conveyor._builtin.memory.telling import ended, go_on, tell_parents
from conveyor.errors import CapabilityError, LockLostError
from conveyor.model.flows import Child, ChildOutcome, ParentRecord, Standing, parent_records, plan_digest
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import SETTLED_STATES, Command, JobState, transition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.locks import Lock

__all__ = ["MemoryFlows"]


class MemoryFlows:
    """Flows: add, look at, mend. See `conveyor.contracts.store.flows`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow."""
        root = plan.jobs[-1]
        known, parent = self._tables.jobs.get(root.id), self._tables.flows.parents.get(root.id)
        digest = plan_digest(plan)
        if known is not None and is_same_add(known, root) and parent is not None and parent.record.digest == digest:
            return [AddReceipt(job.id) for job in plan.jobs]
        return self._add(plan, plan.jobs, digest)

    async def save_flow_in(self, connection: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Refuse: there is no transaction to join."""
        del connection, plan
        raise CapabilityError("memory", "transactions", "connection=")

    async def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None = None, /) -> Sequence[AddReceipt]:
        """Add children to a job that runs or waits for its children."""
        tables = self._tables
        parent = tables.job(parent_id)
        if lock is not None and not (lock.job_id == parent_id and parent.is_held_under(lock.token)):
            raise LockLostError(str(lock.token), job_id=parent_id, queue_name=parent.queue.name)
        transition(parent_id, parent.state, Command.ADD_CHILDREN)
        known = {edge.child_id for edge in plan.edges if self._has_child(edge.parent_id, edge.child_id)}
        receipts = self._add(plan, [job for job in plan.jobs if job.id not in known])
        if not all(receipt.outcome is Added.ADDED for receipt in receipts):
            return receipts
        if parent.options.flow_id is None:
            parent.options = evolve(parent.options, flow_id=plan.jobs[0].options.flow_id)
        return [AddReceipt(job.id) for job in plan.jobs]

    async def get_children(self, parent_id: str, /) -> Sequence[Child]:
        """Return the children of a job."""
        parent = self._tables.flows.parents.get(parent_id)
        return () if parent is None else tuple(parent.children.values())

    async def get_parent_ids(self, child_id: str, /) -> Sequence[str]:
        """Return those who wait, or waited, for a job."""
        return tuple(self._tables.flows.parents_of.get(child_id, ()))

    async def repair_flows(self, *, limit: int = 1000) -> int:
        """Tell parents what they were not told; only settlements that did not name their flow leave such."""
        tables, now = self._tables, self._tables.now()
        untold = list(_untold(tables))[:limit]
        tell_parents(tables, untold, now)
        idle = [record.id for queue in tables.queues.values() for record in _idle(tables, queue.by_state)][:limit]
        tell_parents(tables, [end for job_id in idle if (end := go_on(tables, job_id, now)) is not None], now)
        return len(untold) + len(idle)

    def _has_child(self, parent_id: str, child_id: str) -> bool:
        parent = self._tables.flows.parents.get(parent_id)
        return parent is not None and child_id in parent.children

    def _add(self, plan: FlowPlan, jobs: Sequence[NewJob], digest: bytes | None = None) -> list[AddReceipt]:
        tables = self._tables
        taken = {job.id for job in jobs if job.id in tables.jobs}
        if taken:
            return [AddReceipt(job.id, Added.DUPLICATE if job.id in taken else Added.ADDED) for job in plan.jobs]
        new = {job.id: job for job in jobs}
        records = {record.job_id: record for record in parent_records(plan, digest) if record.job_id in new}
        add_jobs(tables, [evolve(job, delay=None, run_at=None) if job.id in records else job for job in jobs])
        for record in records.values():
            tables.flows.parents[record.job_id] = Parent(record, Standing(0))
            _make_wait(tables.jobs[record.job_id], new[record.job_id])
        for edge in plan.edges:
            if edge.child_id in new:
                self._link(edge.parent_id, tables.jobs[edge.child_id])
        return [AddReceipt(job.id) for job in plan.jobs]

    def _link(self, parent_id: str, child: JobRecord) -> None:
        flows = self._tables.flows
        parent = flows.parents.get(parent_id)
        if parent is None:
            options = self._tables.jobs[parent_id].options
            record = ParentRecord(parent_id, options.on_child_failure, None, options.remove_on_fail)
            parent = flows.parents[parent_id] = Parent(record, Standing(0))
        flows.link(parent, Child(child.id, child.queue.name, child.name))


def _make_wait(record: JobRecord, job: NewJob) -> None:
    record.queue.leave(record)
    record.queue.wait_from(record, job.run_at or record.run_at, JobState.WAITING_CHILDREN)


def _untold(tables: Tables) -> Iterator[End]:
    """Go through the ends that some parent was not told."""
    for child_id, parent_ids in tables.flows.parents_of.items():
        child = tables.jobs.get(child_id)
        if child is not None and child.state not in SETTLED_STATES:
            continue
        if any(tables.flows.parents[parent_id].children[child_id].outcome is None for parent_id in parent_ids):
            yield End(child_id, ChildOutcome.REMOVED) if child is None else ended(child)


def _idle(tables: Tables, by_state: dict[JobState, dict[str, JobRecord]]) -> Iterator[JobRecord]:
    """Go through the jobs that wait for children and have none that is open."""
    for record in by_state[JobState.WAITING_CHILDREN].values():
        parent = tables.flows.parents.get(record.id)
        if parent is None or not parent.standing.open_count:
            yield record
