"""The flows facet of the PostgreSQL store: flows added as a whole, looked at, and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor.codec import decode_error, encode_options
from conveyor.errors import LockLostError
from conveyor.model.flows import Child, ChildOutcome, ParentRecord
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import Command, JobState, transition
from conveyor_plugin_postgres.changes import lock_job
from conveyor_plugin_postgres.flow_adding import add_plan, columns_of, save_flow
from conveyor_plugin_postgres.telling import OUTCOMES, hint_of_parents, lock_flows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conveyor.model.flows import FlowPlan
    from conveyor.model.locks import Lock
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part
    from conveyor_plugin_postgres.transactions import PostgresTransactions

__all__ = ["PostgresFlows"]


class PostgresFlows:
    """Flows: add, look at, mend. See `conveyor.contracts.store.flows`."""

    def __init__(self, database: Database, transactions: PostgresTransactions) -> None:
        self._database = database
        self._transactions = transactions

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow."""
        return await self._database.write_one(save_flow, plan)

    async def save_flow_in(self, connection: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow inside the caller's transaction."""
        return await self._transactions.save_flow_in(connection, plan)

    async def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None = None, /) -> Sequence[AddReceipt]:
        """Add children to a job that runs or waits for its children."""
        return await self._database.write(_add_children, parent_id, plan, lock)

    async def get_children(self, parent_id: str, /) -> Sequence[Child]:
        """Return the children of a job."""
        return await self._database.read(_get_children, parent_id)

    async def get_parent_ids(self, child_id: str, /) -> Sequence[str]:
        """Return those who wait, or waited, for a job."""
        return await self._database.read(_get_parent_ids, child_id)

    async def repair_flows(self, *, limit: int = 1000) -> int:
        """Tell parents what they were not told."""
        return await self._database.write(_repair_flows, max(limit, 0))


async def _add_children(part: Part, parent_id: str, plan: FlowPlan, lock: Lock | None) -> Sequence[AddReceipt]:
    flow_id = plan.jobs[0].options.flow_id
    await part.fetchval("flows/add_children_lock", [flow_id])
    parent = await lock_job(part, parent_id)
    is_held = lock is None or (parent.state is JobState.ACTIVE and (parent_id, parent.token) == lock)
    if lock is not None and not is_held:
        raise LockLostError(str(lock.token), job_id=parent_id, queue_name=parent.queue_name)
    transition(parent_id, parent.state, Command.ADD_CHILDREN)
    rows = await part.fetch("flows/add_children_known", *columns_of(plan.edges, 2))
    known = {child_id for (child_id,) in rows}
    own = ParentRecord(parent_id, parent.options.on_child_failure, None, parent.options.remove_on_fail)
    receipts = await add_plan(part, plan, [job for job in plan.jobs if job.id not in known], own)
    if parent.options.flow_id is None and receipts[0].outcome is Added.ADDED:
        options = encode_options(evolve(parent.options, flow_id=flow_id))
        await part.execute("flows/add_children_options", parent_id, options)
    return receipts


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
    hint_of_parents(part, await part.fetch("flows/repair_flows_told", *columns_of(ends, 4), part.moment))
