"""The flows facet of the SQLite store: flows added as a whole, looked at, and mended."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.sqlite.adding import save_jobs
from conveyor._builtin.sqlite.reading import find_job
from conveyor._builtin.sqlite.rows import span_micros, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import OUTCOMES, End, forget_parents, go_on, tell_parents
from conveyor.codec import decode_error, encode_options
from conveyor.errors import LockLostError
from conveyor.model.flows import Child, ChildOutcome, ParentRecord, parent_records, plan_digest
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.retention import kept_for
from conveyor.model.states import Command, JobState, transition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.transactions import SqliteTransactions
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.flows import Edge, FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.locks import Lock

__all__ = ["SqliteFlows"]


class SqliteFlows:
    """Flows: add, look at, mend. See `conveyor.contracts.store.flows`."""

    def __init__(self, writer: Writer, readers: Readers, transactions: SqliteTransactions) -> None:
        self._transactions = transactions
        self._write = writer.run
        self._read = readers.run

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow."""
        return await self._write(_save_flow, plan)

    async def save_flow_in(self, connection: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow inside the caller's transaction."""
        return await self._transactions.run_in(connection, partial(_save_flow, plan=plan))

    async def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None = None, /) -> Sequence[AddReceipt]:
        """Add children to a job that runs or waits for its children."""
        return await self._write(_add_children, parent_id, plan, lock)

    async def get_children(self, parent_id: str, /) -> Sequence[Child]:
        """Return the children of a job."""
        return await self._read(_get_children, parent_id)

    async def get_parent_ids(self, child_id: str, /) -> Sequence[str]:
        """Return those who wait, or waited, for a job."""
        return await self._read(_get_parent_ids, child_id)

    async def repair_flows(self, *, limit: int = 1000) -> int:
        """Tell parents what they were not told."""
        return await self._write(_repair_flows, max(limit, 0))


def _save_flow(transaction: Transaction, plan: FlowPlan) -> Sequence[AddReceipt]:
    root, digest = plan.jobs[-1], plan_digest(plan)
    if _known(transaction, root) is True and _is_flow(transaction, root.id, digest):
        return [AddReceipt(job.id) for job in plan.jobs]
    return _add(transaction, plan, plan.jobs, digest=digest)


def _is_flow(transaction: Transaction, root_id: str, digest: bytes) -> bool:
    row = transaction.connection.execute(sql("flows/save_flow_digest"), (root_id,)).fetchone()
    return row is not None and row[0] == digest


def _add_children(transaction: Transaction, parent_id: str, plan: FlowPlan, lock: Lock | None) -> Sequence[AddReceipt]:
    connection = transaction.connection
    parent = find_job(connection, parent_id)
    is_held = lock is None or (parent.state is JobState.ACTIVE and (parent_id, parent.token) == lock)
    if lock is not None and not is_held:
        raise LockLostError(str(lock.token), job_id=parent_id, queue_name=parent.queue_name)
    transition(parent_id, parent.state, Command.ADD_CHILDREN)
    known = {
        edge.child_id for edge in plan.edges if connection.execute(sql("flows/add_children_known"), edge).fetchone()[0]
    }
    own = ParentRecord(parent_id, parent.options.on_child_failure, None, parent.options.remove_on_fail)
    receipts = _add(transaction, plan, [job for job in plan.jobs if job.id not in known], [own])
    if parent.options.flow_id is None and receipts[0].outcome is Added.ADDED:
        options = evolve(parent.options, flow_id=plan.jobs[0].options.flow_id)
        connection.execute(sql("flows/add_children_options"), (parent_id, encode_options(options)))
    return receipts


def _add(
    transaction: Transaction,
    plan: FlowPlan,
    jobs: Sequence[NewJob],
    known_parents: Sequence[ParentRecord] = (),
    *,
    digest: bytes | None = None,
) -> Sequence[AddReceipt]:
    """Add those of a plan's jobs that are not there yet, unless one of their ids is taken."""
    taken = {job.id for job in jobs if _known(transaction, job) is not None}
    if taken:
        return [AddReceipt(job.id, Added.DUPLICATE if job.id in taken else Added.ADDED) for job in plan.jobs]
    new = {job.id: job for job in jobs}
    parents = {record.job_id: record for record in parent_records(plan, digest) if record.job_id in new}
    # Parents are added as if they had to run now; their own time is decided when they no longer wait for others.
    save_jobs(transaction, [evolve(job, delay=None, run_at=None) if job.id in parents else job for job in jobs])
    _note_parents(transaction, [*parents.values(), *known_parents])
    waiting = [(job_id, _earliest(new[job_id], transaction.now)) for job_id in parents]
    transaction.connection.executemany(sql("flows/save_flow_waiting"), waiting)
    _link(transaction, [edge for edge in plan.edges if edge.child_id in new], new)
    return [AddReceipt(job.id) for job in plan.jobs]


def _known(transaction: Transaction, job: NewJob) -> bool | None:
    """Return whether the job of this id is the one to be added; None: there is no job of this id."""
    content = (job.id, job.queue_name, job.name, job.payload)
    row = transaction.connection.execute(sql("jobs/save_jobs_known"), content).fetchone()
    return None if row is None else bool(row[1])


def _earliest(job: NewJob, now: int) -> int:
    return now if job.run_at is None else max(now, to_micros(job.run_at))


def _note_parents(transaction: Transaction, parents: Iterable[ParentRecord]) -> None:
    rows = [
        (
            parent.job_id,
            parent.policy,
            None if parent.delay is None else span_micros(parent.delay),
            parent.removal is True,
            None if (kept := kept_for(parent.removal)) is None else span_micros(kept),
            parent.digest,
        )
        for parent in parents
    ]
    transaction.connection.executemany(sql("flows/save_flow_parents"), rows)


def _link(transaction: Transaction, edges: Sequence[Edge], new: dict[str, NewJob]) -> None:
    rows = [(*edge, new[edge.child_id].queue_name, new[edge.child_id].name) for edge in edges]
    transaction.connection.executemany(sql("flows/save_flow_edges"), rows)
    counts = Counter(edge.parent_id for edge in edges)
    transaction.connection.executemany(sql("flows/save_flow_counts"), list(counts.items()))


def _get_children(connection: sqlite3.Connection, parent_id: str) -> Sequence[Child]:
    return [
        Child(
            child_id,
            queue_name,
            name,
            None if outcome is None else ChildOutcome(outcome),
            result,
            None if error is None else decode_error(error),
        )
        for child_id, queue_name, name, outcome, result, error in connection.execute(
            sql("flows/get_children"), (parent_id,)
        )
    ]


def _get_parent_ids(connection: sqlite3.Connection, child_id: str) -> Sequence[str]:
    return [parent_id for (parent_id,) in connection.execute(sql("flows/get_parent_ids"), (child_id,))]


def _repair_flows(transaction: Transaction, limit: int) -> int:
    connection = transaction.connection
    forsaken = [job_id for (job_id,) in connection.execute(sql("flows/repair_flows_forsaken"), (limit,)).fetchall()]
    forget_parents(transaction, forsaken)
    untold = connection.execute(sql("flows/repair_flows_untold"), (limit,)).fetchall()
    tell_parents(
        transaction,
        [
            End(child_id, ChildOutcome.REMOVED if state is None else OUTCOMES[JobState(state)], result, error)
            for child_id, state, result, error in untold
        ],
    )
    idle = _idle(transaction, limit)
    tell_parents(transaction, [end for job_id in idle for end in go_on(transaction, job_id)])
    return len(forsaken) + len(untold) + len(idle)


def _idle(transaction: Transaction, limit: int) -> list[str]:
    connection = transaction.connection
    found: list[str] = []
    for (queue_name,) in connection.execute(sql("jobs/expire_jobs_queues")).fetchall():
        rest = (queue_name, limit - len(found))
        found += [job_id for (job_id,) in connection.execute(sql("flows/repair_flows_idle"), rest)]
    return found
