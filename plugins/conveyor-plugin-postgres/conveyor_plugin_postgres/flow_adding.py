"""Adding jobs that wait for one another to PostgreSQL: each time in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from conveyor.model.events import NotificationKind
from conveyor.model.flows import parent_records, plan_digest
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.retention import kept_for
from conveyor_plugin_postgres.adding import add_columns
from conveyor_plugin_postgres.rows import interval

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conveyor.model.flows import FlowPlan, ParentRecord
    from conveyor.model.job import NewJob
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["add_plan", "columns_of", "flow_columns", "flow_receipts", "save_flow", "whole_columns"]


async def save_flow(part: Part, plan: FlowPlan) -> Sequence[AddReceipt]:
    """Add a flow, unless it is there."""
    first, last = whole_columns(plan)
    return flow_receipts(plan, plan.jobs, await _add(part, first, last))


async def add_plan(part: Part, plan: FlowPlan, jobs: Sequence[NewJob], parent: ParentRecord) -> Sequence[AddReceipt]:
    """Add those of a plan's jobs that are not there yet to a parent that is."""
    if not jobs:
        return [AddReceipt(job.id) for job in plan.jobs]
    first, last = flow_columns(plan, jobs, (parent,), digest=None)
    return flow_receipts(plan, jobs, await _add(part, first, last))


async def _add(part: Part, first: tuple[Any, ...], last: tuple[Any, ...]) -> Row:
    row: Row = await part.fetchrow("flows/save_flow", *first, part.moment, False, *last)  # there is always one
    for queue_name in row[0] or ():
        part.hint(NotificationKind.ADDED, queue_name)
    for queue_name in row[1] or ():
        part.hint(NotificationKind.DELAYED, queue_name)
    return row


def whole_columns(plan: FlowPlan) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what `flow_columns` does, for a whole flow."""
    return flow_columns(plan, plan.jobs, (), digest=plan_digest(plan))


def flow_columns(
    plan: FlowPlan, jobs: Sequence[NewJob], known_parents: Sequence[ParentRecord], *, digest: bytes | None
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the arguments of the database's function add_flow, those before the time and those after it."""
    new = {job.id: job for job in jobs}
    parents = {record.job_id: record for record in parent_records(plan) if record.job_id in new}
    # Parents are added as if they had to run now; their own time is decided when they no longer wait for others.
    added = [evolve(job, delay=None, run_at=None) if job.id in parents else job for job in jobs]
    noted = [
        (
            parent.job_id,
            parent.policy.value,
            interval(parent.delay),
            parent.removal is True,
            interval(kept_for(parent.removal)),
        )
        for parent in (*parents.values(), *known_parents)
    ]
    edges = [
        (*edge, new[edge.child_id].queue_name, new[edge.child_id].name) for edge in plan.edges if edge.child_id in new
    ]
    times = [new[job_id].run_at for job_id in parents]
    return add_columns(added), (*columns_of(noted, 5), list(parents), times, *columns_of(edges, 4), digest)


def flow_receipts(plan: FlowPlan, jobs: Sequence[NewJob], row: Row) -> Sequence[AddReceipt]:
    """Return the answers of a row of the database's to these jobs of a plan, and to those that were there."""
    taken = {jobs[place - 1].id for place in row[2] or ()}
    return [AddReceipt(job.id, Added.DUPLICATE if job.id in taken else Added.ADDED) for job in plan.jobs]


def columns_of(rows: Collection[tuple[object, ...]], width: int) -> list[list[object]]:
    """Return rows by their columns."""
    return [[row[column] for row in rows] for column in range(width)]
