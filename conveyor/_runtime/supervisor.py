"""The supervisor: the root of every task that conveyor runs.

    app                     opened by `async with app:`
    ├─ event bus            one subscription to the store's hints
    ├─ result waiters       everybody who waits for a job
    ├─ event feeds          a task for each queue whose events somebody watches
    └─ worker (any number)  opened by `async with app.worker():`, drawn in worker.py

Each line is a task, or a task group, inside the one above it; leaving a block ends everything below it first.
With ``app.open_in(...)`` and ``app.sync_producer()`` one task of the host, or of a thread, has all of it open: see
hosting.py.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

from conveyor._runtime.crew import Equipment
from conveyor._runtime.event_bus import EventBus
from conveyor._runtime.event_feeds import EventFeeds
from conveyor._runtime.lifecycle import lone_exceptions, open_strategy
from conveyor._runtime.result_waiters import ResultWaiters
from conveyor._runtime.transient import Outage
from conveyor._runtime.worker import Worker
from conveyor._services.buffers import find_places
from conveyor._services.maintenance.flush import flush_at_shutdown
from conveyor._services.schedules import find_undeclared, upsert_declared
from conveyor.contracts.clock import Clock
from conveyor.contracts.job_queue import DeliveringJobQueueStrategy, JobQueueStrategy
from conveyor.contracts.runtime import WorkerHost
from conveyor.contracts.store import Store
from conveyor.contracts.strategy import InjectableStrategy, LifespanStrategy
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from conveyor._runtime.board import RunListener
    from conveyor._services.injector import Registry
    from conveyor._services.services import Services
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.model.retention import Retention
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Supervisor"]

logger: Final = logging.getLogger("conveyor.buffers")

# How long a job queue strategy may take to stop its queues.
STOP_SECONDS: Final = 10.0
# How long the buffers that want it may take to be flushed when the app closes.
FLUSH_SECONDS: Final = 10.0


@define
class Supervisor:
    """Opens an app's parts in dependency order and closes them in reverse.

    `registry` holds settings, clock and logger already; `open_store` opens the store when asked, `open_state` the app's
    lifespan, last of all: what it does may use everything else.
    """

    services: Services
    registry: Registry
    open_store: Callable[[], AbstractAsyncContextManager[Store]]
    job_queue: JobQueueStrategy
    buffer_storage: JobBufferStorageStrategy
    retention: Retention
    open_state: Callable[[], AbstractAsyncContextManager[object]] | None = None
    event_bus: EventBus | None = None
    outage: Outage = field(factory=Outage)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open everything for as long as the context lasts."""
        async with lone_exceptions(), AsyncExitStack() as stack:
            store = await stack.enter_async_context(self.open_store())
            self.registry.provide(Store, store)
            job_queue = await stack.enter_async_context(open_strategy(self.job_queue, self.registry, "job queue"))
            self.registry.provide(JobQueueStrategy, job_queue)
            storage = await stack.enter_async_context(
                open_strategy(self.buffer_storage, self.registry, "buffer storage")
            )
            for middleware in self.services.middleware:
                # Most are plain objects with nothing to open.
                if isinstance(middleware, (InjectableStrategy, LifespanStrategy)):
                    await stack.enter_async_context(open_strategy(middleware, self.registry, "middleware"))
            tasks = await stack.enter_async_context(anyio.create_task_group())
            self.event_bus = EventBus(store.notifier)
            waiters = ResultWaiters(store, self.outage, partial(find_places, self.services))
            self.event_bus.add_listener(waiters.notify)
            await tasks.start(self.event_bus.run, name="conveyor event bus")
            tasks.start_soon(waiters.run, name="conveyor result waiters")
            feeds = EventFeeds(store, self.outage, self.registry.get(Clock))
            self.event_bus.add_listener(feeds.notify)
            await tasks.start(feeds.run, name="conveyor event feeds")
            self.services.open(store, job_queue, waiters, feeds)
            self.services.buffers.open(storage, self.registry.get(Clock))
            self._tell_of_loss_window(storage)
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

    def _tell_of_loss_window(self, storage: JobBufferStorageStrategy) -> None:
        if self.services.buffers.by_id and self.services.buffers.transactional is None:
            logger.warning(
                "buffer storage %s clears a buffer before its jobs are added: those that it cleared are lost where "
                "this process dies in between",
                type(storage).__name__,
            )

    async def _flush_buffers(self) -> None:
        # Who only looks leaves buffers as they are.
        if self.services.is_declaring:
            with anyio.CancelScope(shield=True), anyio.move_on_after(FLUSH_SECONDS):
                await flush_at_shutdown(self.services)

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
        services = self.services
        job_queue, store = services.job_queue, services.store
        if isinstance(job_queue, DeliveringJobQueueStrategy):
            raise CapabilityError("conveyor", "deliveries", f"a worker of {type(job_queue).__name__}")
        event_bus = self.event_bus or EventBus(None)
        equipment = Equipment(
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
        async with lone_exceptions(), anyio.create_task_group() as tasks:
            worker = Worker(equipment, weights, options, listener)
            await tasks.start(worker.run, name="conveyor worker")
            # A strategy asks for the host first thing as it starts or stops a queue.
            self.registry.provide(WorkerHost, worker)
            try:
                for queue_name in weights:
                    await job_queue.start(queue_name, worker.process)
                yield worker
            finally:
                self.registry.provide(WorkerHost, worker)
                with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_SECONDS):
                    for queue_name in weights:
                        await job_queue.stop(queue_name, worker.process)
            worker.stop()
