"""The supervisor: the root of every task that conveyor runs.

    app                     opened by `async with app:`
    ├─ event bus            one subscription to the store's hints
    ├─ result waiters       everybody who waits for a job
    ├─ event feeds          a task for each queue whose events somebody watches
    ├─ take renewer         one task, where the storage of buffers gives jobs out for a time
    └─ worker (any number)  opened by `async with app.worker():`, drawn in worker.py
       └─ where a broker gives deliveries: its hints, and a task for each queue that asks for them

Each line is a task, or a task group, inside the one above it; leaving a block ends everything below it first.
With ``app.open_in(...)`` and ``app.sync_producer()`` one task of the host, or of a thread, has all of it open: see
hosting.py.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from attrs import define, evolve, field

from conveyor._runtime.batches.rows.work import RowsOfStrategies
from conveyor._runtime.crew import Equipment
from conveyor._runtime.deliveries.serving import open_delivery_desk
from conveyor._runtime.event_bus import EventBus
from conveyor._runtime.event_feeds import EventFeeds
from conveyor._runtime.lifecycle import lone_exceptions, open_strategy
from conveyor._runtime.result_waiters import ResultWaiters
from conveyor._runtime.runs import Runs
from conveyor._runtime.take_renewer import TakeRenewer
from conveyor._runtime.transient import Outage
from conveyor._runtime.worker import Worker
from conveyor._services.batches.dividing import check_parts
from conveyor._services.batches.limiting import declare_most_running
from conveyor._services.buffer_losses import tell_what_is_lost, tell_what_may_be_lost
from conveyor._services.buffers import find_places
from conveyor._services.elsewhere import ElsewhereStore
from conveyor._services.heeding import capabilities_of
from conveyor._services.maintenance.flush import flush_at_shutdown
from conveyor._services.schedules import find_undeclared, upsert_declared
from conveyor.contracts.batch_job import BatchJobService
from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
from conveyor.contracts.clock import Clock
from conveyor.contracts.file_storage import FileStorage
from conveyor.contracts.job_queue import DeliveringJobQueueStrategy, JobQueueStrategy, StoreBackedJobQueueStrategy
from conveyor.contracts.row_batches import RowWork
from conveyor.contracts.runtime import BufferActivity, JobRunner, WorkerHost
from conveyor.contracts.store import Store
from conveyor.contracts.strategy import InjectableStrategy, LifespanStrategy
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from conveyor._runtime.batches.service import BatchRuns
    from conveyor._runtime.board import RunListener
    from conveyor._runtime.deliveries.serving import DeliveryDesk
    from conveyor._services.injector import Registry
    from conveyor._services.services import Services
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.model.retention import Retention
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Supervisor"]

worker_logger: Final = logging.getLogger("conveyor.worker")

# How long a job queue strategy may take to stop its queues.
STOP_SECONDS: Final = 10.0
# How long a buffer that wants it may take to be flushed when the app closes.
FLUSH_SECONDS: Final = 10.0
# How long it may take to count what is left in buffers then.
COUNT_SECONDS: Final = 5.0


class StartsQueues(Protocol):
    """A job queue strategy, or what stands between it and a worker."""

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Begin to process the jobs of a queue."""
        ...

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        """Take no further job from the queue; return the ids of the jobs that were handed back."""
        ...


@define
class Supervisor:
    """Opens an app's parts in dependency order and closes them in reverse.

    `registry` holds settings, clock and logger already; `open_store` opens the store when asked, `open_named` what has
    a name, after it, and `open_state` the app's lifespan, last of all: what it does may use everything else.
    """

    services: Services
    registry: Registry
    open_store: Callable[[], AbstractAsyncContextManager[Store]]
    job_queue: JobQueueStrategy
    buffer_storage: JobBufferStorageStrategy
    file_storage: FileStorage
    retention: Retention
    batch_runs: BatchRuns
    open_state: Callable[[], AbstractAsyncContextManager[object]] | None = None
    open_named: Callable[[AsyncExitStack, Registry], Awaitable[None]] | None = None
    event_bus: EventBus | None = None
    # The queues whose deliveries come to some worker of this app.
    delivered: set[str] = field(factory=set)
    outage: Outage = field(factory=Outage)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open everything for as long as the context lasts."""
        async with lone_exceptions(), AsyncExitStack() as stack:
            store = await stack.enter_async_context(self.open_store())
            self.registry.provide(Store, store)
            runs = Runs(self.services)
            stack.push_async_callback(runs.close)
            self.registry.provide(JobRunner, runs)
            if self.open_named is not None:
                await self.open_named(stack, self.registry)
            job_queue = await stack.enter_async_context(open_strategy(self.job_queue, self.registry, "job queue"))
            self.registry.provide(JobQueueStrategy, job_queue)
            storage = await stack.enter_async_context(
                open_strategy(self.buffer_storage, self.registry, "buffer storage")
            )
            self.registry.provide(JobBufferStorageStrategy, storage)
            self.registry.provide(BufferActivity, self.services.buffers.news)
            files = await stack.enter_async_context(open_strategy(self.file_storage, self.registry, "file storage"))
            self.registry.provide(FileStorage, files)
            await self._open_plain(stack)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            kept = _kept_jobs(job_queue, store)
            self.event_bus = EventBus(kept.notifier)
            waiters = ResultWaiters(kept, self.outage, partial(find_places, self.services))
            self.event_bus.add_listener(waiters.notify)
            await tasks.start(self.event_bus.run, name="conveyor event bus")
            tasks.start_soon(waiters.run, name="conveyor result waiters")
            feeds = EventFeeds(kept, self.outage, self.registry.get(Clock))
            self.event_bus.add_listener(feeds.notify)
            await tasks.start(feeds.run, name="conveyor event feeds")
            self.services.open(kept, store, job_queue, waiters, feeds)
            self.services.file_storage = files
            buffers = self.services.buffers
            buffers.open(storage, self.registry.get(Clock))
            if buffers.transactional is not None:
                tasks.start_soon(TakeRenewer(buffers.takes, buffers.transactional).run, name="conveyor take renewer")
            self._tell_of_losses()
            try:
                if self.services.is_declaring:
                    await upsert_declared(self.services)
                async with self._open_state():
                    yield
            finally:
                await self._flush_buffers()
                self.services.close()
                waiters.close()
                await feeds.close()
            tasks.cancel_scope.cancel()

    async def _open_plain(self, stack: AsyncExitStack) -> None:
        """Open middleware and batch strategies, most of which are plain objects with nothing to open."""
        for middleware in self.services.middleware:
            if isinstance(middleware, (InjectableStrategy, LifespanStrategy)):
                await stack.enter_async_context(open_strategy(middleware, self.registry, "middleware"))
        self.batch_runs.outage = self.outage
        self.registry.provide(BatchJobService, self.batch_runs)
        self.registry.provide(RowWork, RowsOfStrategies(self.registry))
        for strategy in self.services.batches.all:
            given = strategy.given
            # One that has but half of it is refused.
            if any(hasattr(given, name) for name in ("init", "destroy", "lifespan")):
                await stack.enter_async_context(open_strategy(given, self.registry, "batch"))
                self.registry.provide(type(given), given)

    def _tell_of_losses(self) -> None:
        tell = partial(tell_what_may_be_lost, self.services)
        if self.services.buffers.by_id:
            tell()
        else:
            self.services.buffers.on_first = tell

    async def _flush_buffers(self) -> None:
        # Who only looks leaves buffers as they are.
        if not self.services.is_declaring:
            return
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for buffer in self.services.buffers.by_id.values():
                    if buffer.flush_on_shutdown:
                        # Each by itself, so that one that takes long leaves the others their time.
                        tasks.start_soon(flush_at_shutdown, self.services, buffer, FLUSH_SECONDS)
            with anyio.move_on_after(COUNT_SECONDS):
                await tell_what_is_lost(self.services)

    @asynccontextmanager
    async def _open_state(self) -> AsyncIterator[None]:
        # Who only looks runs nothing, and need not wait for what handlers share.
        if self.open_state is None or not self.services.is_declaring:
            yield
            return
        async with self.open_state() as state:
            self.services.provide_state(state)
            self.registry.provide(type(state), state)
            yield

    @asynccontextmanager
    async def open_worker(
        self, weights: Mapping[str, int], options: WorkerOptions, listener: RunListener | None = None
    ) -> AsyncIterator[Worker]:
        """Run a worker for as long as the context lasts; leaving it in peace stops the worker gracefully."""
        job_queue = self.services.job_queue
        queues: StartsQueues = job_queue
        async with lone_exceptions(), AsyncExitStack() as stack:
            if isinstance(job_queue, DeliveringJobQueueStrategy):
                desk = await stack.enter_async_context(self._open_desk(job_queue, weights))
                options = evolve(options, lock_duration=job_queue.lock_duration)
                equipment, queues = self._equip(desk.store, desk.event_bus, weights), desk
            else:
                equipment = self._equip(self._worked_store(job_queue), self.event_bus or EventBus(None), weights)
            if self.services.batches.queue_name in weights:
                check_parts(self.services, equipment.store)
                await declare_most_running(self.services, equipment.store)
            yield await stack.enter_async_context(
                self._run_worker(Worker(equipment, weights, options, listener), queues, weights)
            )

    @asynccontextmanager
    async def _open_desk(
        self, job_queue: DeliveringJobQueueStrategy, weights: Mapping[str, int]
    ) -> AsyncIterator[DeliveryDesk]:
        """Open what a worker of a delivering strategy works with, for as long as the context lasts.

        Raises:
            ConfigurationError: another worker of this app serves one of the queues.
        """
        for queue_name in weights:
            if queue_name in self.delivered:
                raise ConfigurationError(f"queue {queue_name!r} is served by another worker of this app already")
        self.delivered.update(weights)
        try:
            async with open_delivery_desk(job_queue, self.registry, self.outage) as desk:
                yield desk
        finally:
            self.delivered.difference_update(weights)

    def _worked_store(self, job_queue: JobQueueStrategy) -> Store:
        """Return where a worker fetches: nowhere, where the strategy runs jobs by itself, but schedules fire there."""
        return job_queue.store if isinstance(job_queue, StoreBackedJobQueueStrategy) else self.registry.get(Store)

    def _equip(self, store: Store, event_bus: EventBus, weights: Mapping[str, int]) -> Equipment:
        services = self.services
        return Equipment(
            store,
            services.handlers,
            services.middleware,
            services.curves,
            event_bus,
            self.registry.get(Clock),
            self.retention,
            self.outage,
            partial(find_undeclared, services, tuple(weights)),
            lambda: services.state,
            services.payload_codec,
            services,
        )

    @asynccontextmanager
    async def _run_worker(
        self, worker: Worker, queues: StartsQueues, weights: Mapping[str, int]
    ) -> AsyncIterator[Worker]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(worker.run, name="conveyor worker")
            # A strategy asks for the host first thing as it starts or stops a queue.
            self.registry.provide(WorkerHost, worker)
            self.services.serving.update(weights.keys())
            try:
                for queue_name in weights:
                    await queues.start(queue_name, worker.process)
                yield worker
            finally:
                self.services.serving.subtract(weights.keys())
                self.registry.provide(WorkerHost, worker)
                with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_SECONDS):
                    for queue_name in weights:
                        handed_back = await queues.stop(queue_name, worker.process)
                        if handed_back:
                            said = "queue %s is stopped; handed back before they began: %s"
                            worker_logger.info(said, queue_name, ", ".join(handed_back))
            worker.stop()


def _kept_jobs(job_queue: JobQueueStrategy, own_store: Store) -> Store:
    """Return where jobs are looked for: in the strategy's store, or in what stands in for one."""
    if isinstance(job_queue, StoreBackedJobQueueStrategy):
        return job_queue.store
    return ElsewhereStore(job_queue, capabilities_of(job_queue), own_store)
