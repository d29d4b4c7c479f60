"""The reclaim pass: jobs whose workers died wait again, or fail after too many stalls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

__all__ = ["reclaim_stalled_jobs"]

logger: Final = logging.getLogger("conveyor.maintenance")

CHUNK: Final = 1000


async def reclaim_stalled_jobs(store: Store, max_stalled: int) -> int:
    """Take every stalled job from its dead worker; return how many there were."""
    total = 0
    while True:
        jobs = await store.jobs.reclaim_stalled_jobs(max_stalled, limit=CHUNK)
        for job in jobs:
            stalls = job.stalled_count
            logger.warning("job %s of %r stalled (%d times so far), now %s", job.id, job.queue_name, stalls, job.state)
        total += len(jobs)
        if len(jobs) < CHUNK:
            return total
