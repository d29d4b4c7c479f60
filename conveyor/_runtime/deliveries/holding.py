"""One delivery that a worker has, and what it can do with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
from attrs import define

from conveyor._runtime.deliveries.ends import NO_WAIT, apply
from conveyor._runtime.transient import until_available
from conveyor.errors import LockLostError

if TYPE_CHECKING:
    from conveyor._runtime.transient import Outage
    from conveyor.contracts.job_queue import Delivery, JobQueueCapabilities
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement

__all__ = ["Holding"]


@define(eq=False)
class Holding:
    """A delivery, and its job with the token under which it was fetched.

    Attributes:
        extended_at: when it was last known to be ours, on the loop's clock: what was sent later arrived later still.
    """

    delivery: Delivery
    job: JobData
    outage: Outage
    extended_at: float

    @property
    def is_suspect(self) -> bool:
        """Whether workers died that had it."""
        return self.job.stalled_count > 0

    async def extend(self) -> bool:
        """Keep it; return False where it was lost."""
        asked_at = anyio.current_time()
        try:
            await self.delivery.extend()
        except LockLostError:
            return False
        self.extended_at = asked_at
        return True

    async def end(self, settlement: Settlement, capabilities: JobQueueCapabilities) -> bool:
        """Settle it, for as long as it takes; return False where it was lost."""
        end = partial(apply, self.delivery, self.job, settlement, capabilities)
        try:
            await until_available(end, "settle a delivery", self.outage)
        except LockLostError:
            return False
        return True

    async def hand_back(self) -> bool:
        """Hand it back uncounted, for as long as it takes; return False where it was lost."""
        back = partial(self.delivery.hand_back, NO_WAIT, is_counted=False)
        try:
            await until_available(back, "hand a delivery back", self.outage)
        except LockLostError:
            return False
        return True
