"""Buffers that have jobs and that this program does not register: nobody here can flush them, so somebody is told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.model.buffers.values import BufferSize

__all__ = ["report_unregistered"]

logger: Final = logging.getLogger("conveyor.buffers")


def report_unregistered(sizes: Mapping[str, BufferSize]) -> None:
    """Log a warning for each of these buffers, by their whole ids."""
    for buffer_id, size in sorted(sizes.items()):
        logger.warning(
            "buffer %s has %d jobs, the oldest from %s, and this program does not register it: "
            "they stay there until one that does flushes it",
            buffer_id,
            size.jobs,
            size.oldest_at,
        )
