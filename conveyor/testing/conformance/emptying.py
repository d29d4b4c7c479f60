"""Emptying a store between tests, and refusing to empty one that somebody uses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.batches.status import BatchCommand, legal_commands
from conveyor.model.batches.values import BatchChange, BatchFilter
from conveyor.model.buffers.values import FlushPlan
from conveyor.model.limits import NO_LIMITS

if TYPE_CHECKING:
    from conveyor.contracts.store import BatchStore, InspectionStore, Store

__all__ = ["check_empty", "empty", "remove_batches"]

_EMPTYING: Final = "emptying"


async def check_empty(store: Store) -> None:
    """Make sure that the kit may use this store, for it removes all that it finds.

    Raises:
        ConfigurationError: there are queues, schedules, batch jobs or sessions in it.
        CapabilityError: it cannot tell.
    """
    found = [queue.name for queue in await _inspection(store).list_queues()]
    sessions = await store.sessions.list_sessions()
    if store.schedules is not None:
        found += [schedule.id for schedule in await store.schedules.list_schedules(limit=10)]
    if store.buffers is not None:
        found += await store.buffers.get_sizes()
    if store.batches is not None:
        found += [batch.id for batch in (await store.batches.find_batches(BatchFilter(), limit=10)).batches]
    if found or sessions:
        raise ConfigurationError(
            f"{store.name} is in use (queues, schedules, buffers, batch jobs: {', '.join(found) or 'none'}; "
            f"sessions: {len(sessions)}): "
            "the conformance kit removes whatever it finds, so give it an empty store of its own"
        )


async def empty(store: Store) -> None:
    """Remove every schedule, buffer, batch job, queue and session. What a flush has taken is not to be had."""
    while store.schedules is not None and (found := await store.schedules.list_schedules()):
        for schedule in found:
            await store.schedules.remove_schedule(schedule.id)
    while store.buffers is not None and (sizes := await store.buffers.get_sizes()):
        for buffer_id in sizes:
            kept = await store.buffers.take(buffer_id, _EMPTYING, timedelta(minutes=1), limit=1000)
            await store.buffers.commit(_EMPTYING, FlushPlan([one.job.id for one in kept], (), {}))
    while store.buffers is not None and await store.buffers.forget_merged(timedelta(0)):
        continue
    await remove_batches(store.batches)
    for queue in await _inspection(store).list_queues():
        await _remove_queue(store, queue.name)
    for session in await store.sessions.list_sessions():
        await store.sessions.close(session.id)


async def _remove_queue(store: Store, queue_name: str) -> None:
    if store.limits is not None:
        await store.limits.set_limits(queue_name, NO_LIMITS)
    await store.queues.obliterate(queue_name, force=True)


async def remove_batches(batches: BatchStore | None) -> None:
    """Remove every batch job, whatever works for it."""
    while batches is not None and (found := (await batches.find_batches(BatchFilter())).batches):
        for batch in found:
            status = batch.status
            for command in (BatchCommand.CANCEL, BatchCommand.FAIL):
                if command in legal_commands(status):
                    status = (await batches.change_batch(batch.id, BatchChange(f"emptying-{command}", command))).status
            await batches.remove_batch(batch.id)


def _inspection(store: Store) -> InspectionStore:
    if store.inspection is None:
        raise CapabilityError(store.name, "has_inspection", "emptying it between tests")
    return store.inspection
