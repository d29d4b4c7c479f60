"""How many batch jobs of a type run at once: a limit of their queue, for the jobs of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.limits import NameLimits

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.contracts.store import Store

__all__ = ["declare_most_running"]


async def declare_most_running(services: Services, store: Store) -> None:
    """Let `max_running` of each strategy hold for its jobs, unless another number does.

    Raises:
        CapabilityError: one has it, and the store has no limits.
        ConfigurationError: another number holds.
    """
    most = {one.batch_type: one.max_running for one in services.batches.all if one.max_running is not None}
    if not most:
        return
    if store.limits is None:
        raise CapabilityError(store.name, "limits", "max_running")
    queue_name = services.batches.queue_name
    while True:
        held = await store.limits.get_limits(queue_name)
        for batch_type, number in most.items():
            found = held.names.get(batch_type)
            if found is not None and found.concurrency != number:
                raise ConfigurationError(
                    f"the strategy of batch type {batch_type!r} declares max_running={number}, but queue "
                    f"{queue_name!r} lets {found.concurrency} of them run at once: declare the same, or nothing; what "
                    "holds is changed by queue.set_limits() or `conveyor queues limits set`"
                )
        missing = {name: NameLimits(concurrency=number) for name, number in most.items() if name not in held.names}
        if not missing:
            return
        # Another program may have written others meanwhile, so what holds then is looked at.
        await store.limits.set_limits(queue_name, evolve(held, names={**held.names, **missing}))
