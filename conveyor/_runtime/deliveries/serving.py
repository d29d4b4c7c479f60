"""Serving queues of a delivering strategy: what such a strategy leaves to core when a worker starts and stops."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.abc
from attrs import define

from conveyor._runtime.deliveries.store import DeliveryStore
from conveyor._runtime.event_bus import EventBus
from conveyor._services.heeding import capabilities_of
from conveyor.contracts.runtime import WorkerHost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._runtime.transient import Outage
    from conveyor.contracts.job_queue import DeliveringJobQueueStrategy
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector

__all__ = ["DeliveryDesk", "open_delivery_desk"]


@define
class DeliveryDesk:
    """The store and the event bus of one worker of a delivering strategy, and the tasks that ask for deliveries."""

    strategy: DeliveringJobQueueStrategy
    injector: Injector
    store: DeliveryStore
    event_bus: EventBus
    tasks: anyio.abc.TaskGroup

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Start a queue: its deliveries come to this worker from now on."""
        host = self.injector.get(WorkerHost)
        await self.strategy.start(queue_name, process)
        self.store.deliveries.add_queue(queue_name)
        self.tasks.start_soon(self.store.deliveries.run, queue_name, name=f"conveyor deliveries of {queue_name}")
        host.add_queue(queue_name)

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        """Stop a queue: none come any more. Return the ids of the jobs that were handed back by that."""
        fetched = self.injector.get(WorkerHost).remove_queue(queue_name)
        late = await self.strategy.stop(queue_name, process)
        return [*fetched, *await self.store.deliveries.leave(queue_name), *late]


@asynccontextmanager
async def open_delivery_desk(
    strategy: DeliveringJobQueueStrategy, injector: Injector, outage: Outage
) -> AsyncIterator[DeliveryDesk]:
    """Open what a worker needs beside itself; its tasks end with the block."""
    async with anyio.create_task_group() as tasks:
        store = DeliveryStore(strategy, capabilities_of(strategy), outage)
        event_bus = EventBus(store.notifier)
        await tasks.start(event_bus.run, name="conveyor delivery hints")
        yield DeliveryDesk(strategy, injector, store, event_bus, tasks)
        tasks.cancel_scope.cancel()
