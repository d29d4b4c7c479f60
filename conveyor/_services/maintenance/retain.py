"""The retention pass: settled jobs that are to be kept no longer are removed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.store import Store
    from conveyor.model.retention import Retention

__all__ = ["remove_outdated_jobs"]

logger: Final = logging.getLogger("conveyor.maintenance")

CHUNK: Final = 1000


async def remove_outdated_jobs(store: Store, queue_names: Sequence[str], retention: Retention) -> int:
    """Remove every outdated job of these queues, in chunks that let others in between; return how many there were."""
    total = 0
    while True:
        count = await store.jobs.remove_outdated_jobs(queue_names, retention, limit=CHUNK)
        total += count
        if count < CHUNK:
            break
        await checkpoint()
    await _forget_merged(store, retention)
    if total:
        logger.info("removed %d settled jobs that were to be kept no longer", total)
    return total


async def _forget_merged(store: Store, retention: Retention) -> None:
    """Forget which jobs buffers merged into others as long ago as settled jobs are kept at most."""
    if store.buffers is None or retention.max_age is None:
        return
    while await store.buffers.forget_merged(retention.max_age, limit=CHUNK) == CHUNK:
        await checkpoint()
