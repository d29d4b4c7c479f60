"""The flows facet of the PostgreSQL store: flows added as a whole, looked at, and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor.codec import decode_error, encode_options
from conveyor.errors import LockLostError
from conveyor.model.flows import Child, ChildOutcome, ParentRecord, parent_records
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.retention import kept_for
from conveyor.model.states import Command, JobState, transition
from conveyor_plugin_postgres.adding import save_jobs
from conveyor_plugin_postgres.changes import lock_job
from conveyor_plugin_postgres.rows import interval
from conveyor_plugin_postgres.telling import OUTCOMES, hint_of_parents, lock_flows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from conveyor.model.flows import Edge, FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.locks import Lock
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresFlows"]


class PostgresFlows:
    """Flows: add, look at, mend. See `conveyor.contracts.store.flows`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow."""
        return await self._write(_save_flow, plan)

    async def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None = None, /) -> Sequence[AddReceipt]:
        """Add children to a job that runs or waits for its children."""
        return await self._write(_add_children, parent_id, plan, lock)

    async def _write(self, add: Callable[..., object], *args: object) -> Sequence[AddReceipt]:
        while True:
            try:
                receipts: Sequence[AddReceipt] = await self._database.write(add, *args)  # type: ignore[arg-type]
            except _TakenMeanwhileError:
                continue
            return receipts

    async def get_children(self, parent_id: str, /) -> Sequence[Child]:
        """Return the children of a job."""
        return await self._database.read(_get_children, parent_id)

    async def get_parent_ids(self, child_id: str, /) -> Sequence[str]:
        """Return those who wait, or waited, for a job."""
        return await self._database.read(_get_parent_ids, child_id)

    async def repair_flows(self, *, limit: int = 1000) -> int:
        """Tell parents what they were not told."""
        return await self._database.write(_repair_flows, max(limit, 0))


class _TakenMeanwhileError(Exception):
    """Somebody took the id of a job after we had looked: what was added is rolled back, and tried again."""


async def _save_flow(part: Part, plan: FlowPlan) -> Sequence[AddReceipt]:
    root = plan.jobs[-1]
    # Who adds the same flow at the same time waits here, and then finds it.
    await part.fetchval("flows/save_flow_lock", [root.options.flow_id])
    if (await _known(part, [root])).get(root.id):
        return [AddReceipt(job.id) for job in plan.jobs]
    return await _add(part, plan, plan.jobs)


async def _add_children(part: Part, parent_id: str, plan: FlowPlan, lock: Lock | None) -> Sequence[AddReceipt]:
    flow_id = plan.jobs[0].options.flow_id
    await part.fetchval("flows/save_flow_lock", [flow_id])
    parent = await lock_job(part, parent_id)
    is_held = lock is None or (parent.state is JobState.ACTIVE and (parent_id, parent.token) == lock)
    if lock is not None and not is_held:
        raise LockLostError(str(lock.token), job_id=parent_id, queue_name=parent.queue_name)
    transition(parent_id, parent.state, Command.ADD_CHILDREN)
    rows = await part.fetch("flows/add_children_known", *_columns(plan.edges, 2))
    known = {child_id for (child_id,) in rows}
    own = ParentRecord(parent_id, parent.options.on_child_failure, None, parent.options.remove_on_fail)
    receipts = await _add(part, plan, [job for job in plan.jobs if job.id not in known], [own])
    if parent.options.flow_id is None and receipts[0].outcome is Added.ADDED:
        options = encode_options(evolve(parent.options, flow_id=flow_id))
        await part.execute("flows/add_children_options", parent_id, options)
    return receipts


async def _add(
    part: Part, plan: FlowPlan, jobs: Sequence[NewJob], known_parents: Sequence[ParentRecord] = ()
) -> Sequence[AddReceipt]:
    """Add those of a plan's jobs that are not there yet, unless one of their ids is taken."""
    taken = await _known(part, jobs)
    if taken:
        return [AddReceipt(job.id, Added.DUPLICATE if job.id in taken else Added.ADDED) for job in plan.jobs]
    new = {job.id: job for job in jobs}
    parents = {record.job_id: record for record in parent_records(plan) if record.job_id in new}
    # Parents are added as if they had to run now; their own time is decided when they no longer wait for others.
    added = await save_jobs(part, [evolve(job, delay=None, run_at=None) if job.id in parents else job for job in jobs])
    if any(receipt.outcome is not Added.ADDED for receipt in added):
        raise _TakenMeanwhileError
    await _note_parents(part, [*parents.values(), *known_parents])
    await part.execute("flows/save_flow_waiting", list(parents), [new[job_id].run_at for job_id in parents])
    await _link(part, [edge for edge in plan.edges if edge.child_id in new], new)
    return [AddReceipt(job.id) for job in plan.jobs]


async def _known(part: Part, jobs: Sequence[NewJob]) -> dict[str, bool]:
    """Return of the ids that are taken whether they are by the very same job."""
    contents = _columns([(job.id, job.queue_name, job.name, job.payload) for job in jobs], 4)
    return {jobs[place - 1].id: is_same for place, is_same in await part.fetch("flows/save_flow_known", *contents)}


async def _note_parents(part: Part, parents: Collection[ParentRecord]) -> None:
    rows = [
        (
            parent.job_id,
            parent.policy.value,
            interval(parent.delay),
            parent.removal is True,
            interval(kept_for(parent.removal)),
        )
        for parent in parents
    ]
    await part.execute("flows/save_flow_parents", *_columns(rows, 5))


async def _link(part: Part, edges: Sequence[Edge], new: dict[str, NewJob]) -> None:
    rows = [(*edge, new[edge.child_id].queue_name, new[edge.child_id].name) for edge in edges]
    await part.execute("flows/save_flow_edges", *_columns(rows, 4))


def _columns(rows: Collection[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[column] for row in rows] for column in range(width)]


async def _get_children(part: Part, parent_id: str) -> Sequence[Child]:
    return [
        Child(
            child_id,
            queue_name,
            name,
            None if outcome is None else ChildOutcome(outcome),
            result,
            None if error is None else decode_error(error),
        )
        for child_id, queue_name, name, outcome, result, error in await part.fetch("flows/get_children", parent_id)
    ]


async def _get_parent_ids(part: Part, child_id: str) -> Sequence[str]:
    return [parent_id for (parent_id,) in await part.fetch("flows/get_parent_ids", child_id)]


async def _repair_flows(part: Part, limit: int) -> int:
    await lock_flows(part)
    forsaken = [job_id for (job_id,) in await part.fetch("flows/repair_flows_forsaken", limit)]
    await part.fetchval("flows/repair_flows_forget", forsaken)
    untold = await part.fetch("flows/repair_flows_untold", limit)
    ends = [
        (child_id, ChildOutcome.REMOVED.value if state is None else OUTCOMES[JobState(state)].value, result, error)
        for child_id, state, result, error in untold
    ]
    await _tell(part, ends)
    idle = [job_id for (job_id,) in await part.fetch("flows/repair_flows_idle", limit)]
    for job_id in idle:
        for kind, queue_name, reason in await part.fetch("flows/repair_flows_go_on", job_id, part.moment):
            hint_of_parents(part, [(kind, queue_name)] if kind is not None else [])
            if reason is not None:
                await _tell(part, [(job_id, ChildOutcome.FAILED.value, None, reason)])
    return len(forsaken) + len(untold) + len(idle)


async def _tell(part: Part, ends: Collection[tuple[object, ...]]) -> None:
    hint_of_parents(part, await part.fetch("flows/repair_flows_told", *_columns(ends, 4), part.moment))
