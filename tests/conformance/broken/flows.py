"""Faults in flows: added in part, told to too few, revived, or forgotten."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.flow_tables import FlowTables
from conveyor._builtin.memory.flows import MemoryFlows
from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.queues import MemoryQueues
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState
from tests.conformance.broken.bench import with_its_own_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.flows import Child, FlowPlan
    from conveyor.model.job import JobData
    from conveyor.model.locks import Lock


@contextmanager
def without_flows(tables: Tables) -> Iterator[None]:
    """Know of no flows meanwhile."""
    flows, tables.flows = tables.flows, FlowTables()
    try:
        yield
    finally:
        tables.flows = flows


class AddedWhereNew(MemoryFlows):
    """Adds those jobs of a flow whose ids are free."""

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        jobs = tuple(job for job in plan.jobs if job.id not in self._tables.jobs)
        ids = {job.id for job in jobs}
        edges = tuple(edge for edge in plan.edges if set(edge) <= ids)
        receipts = await super().save_flow(evolve(plan, jobs=jobs, edges=edges)) if jobs else ()
        answers = {receipt.job_id: receipt for receipt in receipts}
        return [answers.get(job.id) or AddReceipt(job.id, Added.DUPLICATE) for job in plan.jobs]


class AnyFlowOfItsRoot(MemoryFlows):
    """Takes every flow for the one that was added with the same root."""

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        if plan.jobs[-1].id in self._tables.jobs:
            return [AddReceipt(job.id) for job in plan.jobs]
        return await super().save_flow(plan)


class ParentsRunAtOnce(MemoryFlows):
    """Keeps who waits for whom, and waits for nobody."""

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        receipts = await super().save_flow(plan)
        for parent_id in {edge.parent_id for edge in plan.edges}:
            record = self._tables.jobs[parent_id]
            if record.state is JobState.WAITING_CHILDREN:
                record.queue.leave(record)
                record.queue.enter(record, JobState.WAITING)
        return receipts


class LockIgnoredAtAddChildren(MemoryFlows):
    """Lets any run add children to a job that runs."""

    async def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None = None, /) -> Sequence[AddReceipt]:
        own = None if lock is None else with_its_own_token(self._tables, lock._replace(job_id=parent_id))
        return await super().add_children(parent_id, plan, own)


class DelayIgnored(MemoryFlows):
    """Forgets that a parent has a delay once it is added."""

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        return await super().save_flow(evolve(plan, jobs=tuple(evolve(job, delay=None) for job in plan.jobs)))


class ResultsForgotten(MemoryFlows):
    """Knows how children ended, and not with what."""

    async def get_children(self, parent_id: str, /) -> Sequence[Child]:
        return [evolve(child, result=None) for child in await super().get_children(parent_id)]


class CancelTellsNobody(MemoryJobs):
    """Lets a parent wait for ever for a child that was cancelled."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        with without_flows(self._tables):
            return await super().cancel_job(job_id, reason)


class RerunNotWaitedFor(MemoryJobs):
    """Takes a child that runs again for one that has ended."""

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        with without_flows(self._tables):
            return await super().rerun_job(job_id, payload)


class CancelledParentsRevived(MemoryJobs):
    """Lets a cancelled parent run when its children have ended."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        job = await super().cancel_job(job_id, reason)
        if job_id in self._tables.flows.parents:
            record = self._tables.jobs[job_id]
            record.queue.leave(record)
            record.queue.enter(record, JobState.WAITING_CHILDREN)
        return job


class DrainTellsNobody(MemoryQueues):
    """Lets a parent wait for ever for a child that was drained."""

    async def drain(self, queue_name: str, /) -> int:
        with without_flows(self._tables):
            return await super().drain(queue_name)
