"""What can be done with the limits of a queue: set, declared, looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.checks import check_name
from conveyor.model.limits import NO_LIMITS, GroupCounts, LimitsReport, QueueLimits, differing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor._services.services import Services
    from conveyor.contracts.store import LimitStore, Store
    from conveyor.model.job import NewJob

__all__ = ["check_groups", "declare", "group_counts", "look", "set_limits"]


async def set_limits(services: Services, queue_name: str, limits: QueueLimits) -> None:
    """Let these limits hold for a queue, and no others."""
    await _facet(services.store, "set_limits").set_limits(queue_name, limits)


async def look(services: Services, queue_name: str) -> LimitsReport:
    """Return what limits hold, and how far each is used."""
    store = _facet(services.store, "limits")
    held, usages = await store.get_limits(queue_name), await store.get_limit_usages(queue_name)
    return LimitsReport(held, tuple(usages))


async def group_counts(services: Services, queue_name: str, group_id: str) -> GroupCounts:
    """Return how many jobs of a group wait, and run."""
    check_name(group_id, "group id")
    store = _facet(services.store, "group_counts")
    waiting = await store.get_waiting_group_count(queue_name, group_id)
    return GroupCounts(waiting=waiting, active=await store.get_group_active_count(queue_name, group_id))


async def declare(store: Store, queue_names: Iterable[str], limits: QueueLimits) -> None:
    """Let a worker's limits hold for its queues, unless others do.

    Raises:
        CapabilityError: the store has no limits.
        ConfigurationError: a queue has other limits.
    """
    if limits == NO_LIMITS:
        return
    facet = _facet(store, "the limits of a worker")
    for queue_name in queue_names:
        for name, declared, held in differing(limits, await facet.declare_limits(queue_name, limits)):
            raise ConfigurationError(
                f"this worker declares {name}={declared!r}, but queue {queue_name!r} has {name}={held!r}: declare the "
                f"same, or nothing; what holds is changed by queue.set_limits() or `conveyor queues limits set`"
            )


def check_groups(store: Store, jobs: Sequence[NewJob]) -> None:
    """Refuse jobs of groups where the store has none.

    Raises:
        CapabilityError: it has none.
    """
    if any(job.options.group is not None for job in jobs):
        _facet(store, "group=")


def _facet(store: Store, needed_by: str) -> LimitStore:
    if store.limits is None:
        raise CapabilityError(store.name, "limits", needed_by)
    return store.limits
