"""The repair pass: parents that were not told how their children ended are told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

__all__ = ["repair_flows"]

logger: Final = logging.getLogger("conveyor.maintenance")

CHUNK: Final = 1000


async def repair_flows(store: Store) -> int:
    """Mend what somebody left who changed jobs behind the store's back; return how much there was."""
    if store.flows is None:
        return 0
    total = 0
    while mended := await store.flows.repair_flows(limit=CHUNK):
        logger.warning("%d jobs of flows had ended, or waited for nothing, and nobody had been told", mended)
        total += mended
    return total
