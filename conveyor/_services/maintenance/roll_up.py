"""The pass that adds metrics up: old minutes to hours, old hours to one sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from conveyor.contracts.store import Store
    from conveyor.model.retention import Retention

__all__ = ["roll_up_metrics"]

CHUNK: Final = 1000


async def roll_up_metrics(store: Store, retention: Retention) -> int:
    """Add up what is to be kept no longer, in chunks that let others in between; return how many spans that were."""
    if store.metrics is None:
        return 0
    total = 0
    while moved := await store.metrics.roll_up(retention.metric_minutes, retention.metric_hours, limit=CHUNK):
        total += moved
        await checkpoint()
    return total
