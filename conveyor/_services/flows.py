"""What can be done with flows: added, given more children, looked at, cancelled; and what a run sees of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve, frozen

from conveyor._services import queues
from conveyor._services.buffered_jobs import read_following, refuse_buffered
from conveyor._services.limits import check_groups
from conveyor._services.sealing import opened_at
from conveyor.codec import decode_json
from conveyor.errors import CapabilityError, FlowError, InvalidJobStateError, JobNotFoundError
from conveyor.model.checks import could_be_id
from conveyor.model.flows import ChildOutcome, plan_children, plan_flow
from conveyor.model.locks import Lock, LockToken
from conveyor.model.payload import PayloadPlace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from conveyor._services.handlers import HandlerRegistry
    from conveyor._services.services import Services
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import FlowStore, Store
    from conveyor.model.flows import Child, Flow, FlowPlan
    from conveyor.model.job import ErrorInfo, JobData, NewJob
    from conveyor.model.queries import AddReceipt

    FromThread: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, Sequence["ChildJob"]]]], Sequence["ChildJob"]]
    SavePlan: TypeAlias = Callable[[FlowPlan], Awaitable[Sequence[AddReceipt]]]

__all__ = ["ChildJob", "RunFlows", "add", "add_children", "cancel", "get_children", "get_parents"]


@frozen
class ChildJob:
    """What a parent knows of a child, also when the child's record is gone.

    Attributes:
        outcome: how it ended; None: it has not.
        value: what its handler returned, where it completed.
        error: why it failed or was cancelled.
    """

    job_id: str
    queue_name: str
    name: str
    outcome: ChildOutcome | None
    value: Any
    error: ErrorInfo | None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.outcome is None


async def add(services: Services, flow: Flow, connection: object = None) -> None:
    """Add all jobs of a flow, or none; inside the transaction of a connection where one is given.

    Raises:
        FlowError: no flow can be made of it.
        DuplicateJobError: another job has the id of one of them.
        CapabilityError: the store, or the job queue strategy, has no flows, or joins no transactions.
    """
    plan = plan_flow(flow)
    save: SavePlan = services.flow_queue("flows.add").add_flow
    if connection is not None:
        save = partial(services.transactional_flow_queue("connection=").add_flow_in, connection)
    await _add(services, plan, save)


async def add_children(services: Services, parent_id: str, children: Sequence[Flow | NewJob]) -> None:
    """Let a job that runs or waits for its children wait for more.

    Raises:
        FlowError, DuplicateJobError, CapabilityError: as for `add`.
        JobNotFoundError, InvalidJobStateError: there is no such parent, or it neither runs nor waits for children.
    """
    queue = services.flow_queue("add_children")
    parent = await services.store.jobs.find_job(parent_id)
    if parent is None:
        await refuse_buffered(services, parent_id)
        raise JobNotFoundError(parent_id)
    plan = plan_children(parent_id, parent.options.flow_id or parent_id, children)
    await _add(services, plan, partial(queue.add_children, parent_id))


async def _add(services: Services, plan: FlowPlan, save: SavePlan) -> None:
    check_groups(services.store, plan.jobs)
    await _save(plan, save, services.middleware, services.payload_codec)


async def _save(
    plan: FlowPlan, save: SavePlan, middleware: Sequence[Middleware], payload_codec: PayloadCodec | None
) -> None:
    ids = {job.id for job in plan.jobs}

    async def call(jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
        if {job.id for job in jobs} != ids:
            raise FlowError("a middleware left out, or added, a job of the flow: all of its jobs are added, or none")
        return await save(evolve(plan, jobs=tuple(jobs)))

    queues.check_receipts(plan.jobs, await queues.inside_middleware(middleware, payload_codec, call)(plan.jobs))


async def get_children(services: Services, parent_id: str) -> Sequence[ChildJob]:
    """Return what a job knows of its children, in the order in which they were added."""
    flows = services.flows("children")

    async def read(of_id: str) -> Sequence[ChildJob]:
        return await _children(flows, services.handlers, services.payload_codec, of_id)

    return await read_following(services, parent_id, read)


async def get_parents(services: Services, job_id: str) -> Sequence[JobData]:
    """Return the jobs that wait, or waited, for a job."""
    parent_ids = await services.flows("parents").get_parent_ids(job_id)
    found = await services.store.jobs.find_jobs(parent_ids)
    return [found[parent_id] for parent_id in parent_ids if parent_id in found]


async def cancel(services: Services, job_id: str, reason: str) -> int:
    """Cancel a job and all below it that have not ended, parents before their children; return how many.

    Raises:
        JobNotFoundError: there is no such job.
    """
    flows = services.flows("cancelling a flow")
    if not could_be_id(job_id, "job_id"):
        raise JobNotFoundError(job_id)
    if await services.store.jobs.find_job(job_id) is None:
        await refuse_buffered(services, job_id)
        raise JobNotFoundError(job_id)
    # Parents first: none of them runs, or fails for another reason, because of its children.
    found, seen = [job_id], {job_id}
    cancelled = 0
    for next_id in found:
        cancelled += await _cancel_one(services, next_id, reason)
        children = [child.job_id for child in await flows.get_children(next_id) if child.job_id not in seen]
        found += children
        seen.update(children)
    return cancelled


async def _cancel_one(services: Services, job_id: str, reason: str) -> int:
    try:
        await services.store.jobs.cancel_job(job_id, reason)
    except (InvalidJobStateError, JobNotFoundError):
        return 0  # it has ended
    return 1


class RunFlows:
    """A run's way to the children of its job; see `JobContext.children` and `JobContext.add_children`."""

    def __init__(
        self,
        store: Store,
        handlers: HandlerRegistry,
        job: JobData,
        *,
        payload_codec: PayloadCodec | None,
        middleware: Sequence[Middleware],
        from_thread: FromThread,
        on_open: Callable[[], None],
    ) -> None:
        """Bind to a run of a job.

        Args:
            store: it must have flows.
            handlers: they read the children's results.
            job: the one that runs.
            payload_codec: opens and seals what the children carry.
            middleware: through which they are added.
            from_thread: calls what is async on the event loop, while its thread waits.
            on_open: called once children were added, or seen that have not ended.
        """
        self._on_open = on_open
        self._store = store
        self._handlers = handlers
        self._job = job
        self._payload_codec = payload_codec
        self._middleware = middleware
        self._from_thread = from_thread

    async def get_children(self) -> Sequence[ChildJob]:
        """Return what is known of the job's children."""
        flows = flows_of(self._store, "ctx.children()")
        children = await _children(flows, self._handlers, self._payload_codec, self._job.id)
        if any(child.is_open for child in children):
            self._on_open()
        return children

    def read_children(self) -> Sequence[ChildJob]:
        """Return what is known of the job's children, in a thread of its handler's."""
        return self._from_thread(self.get_children)

    async def add_children(self, children: Sequence[Flow | NewJob]) -> None:
        """Add children, under the run's lock."""
        job = self._job
        plan = plan_children(job.id, job.options.flow_id or job.id, children)
        check_groups(self._store, plan.jobs)
        flows, lock = flows_of(self._store, "ctx.add_children()"), Lock(job.id, job.token or LockToken("", 0))
        await _save(plan, lambda whole: flows.add_children(job.id, whole, lock), self._middleware, self._payload_codec)
        self._on_open()
        if job.options.flow_id is None:
            # As the store has it now: the settlement of this very run names the flow.
            job.options = evolve(job.options, flow_id=job.id)


def flows_of(store: Store, needed_by: str) -> FlowStore:
    """Return the store's flows facet.

    Raises:
        CapabilityError: it has none.
    """
    if store.flows is None:
        raise CapabilityError(store.name, "flows", needed_by)
    return store.flows


async def _children(
    flows: FlowStore, handlers: HandlerRegistry, codec: PayloadCodec | None, parent_id: str
) -> Sequence[ChildJob]:
    return [_child_job(handlers, codec, child) for child in await flows.get_children(parent_id)]


def _child_job(handlers: HandlerRegistry, codec: PayloadCodec | None, child: Child) -> ChildJob:
    value = None
    result = opened_at(codec, child.result, PayloadPlace("result", child.job_id, child.queue_name, child.name))
    if result is not None:
        handler = handlers.find(child.queue_name, child.name)
        value = decode_json(result) if handler is None else handler.decode_result(result)
    return ChildJob(child.job_id, child.queue_name, child.name, child.outcome, value, child.error)
