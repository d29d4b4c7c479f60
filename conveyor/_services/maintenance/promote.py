"""The promotion pass: delayed jobs whose time has come wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.contracts.store import Store

__all__ = ["promote_due_jobs"]

CHUNK: Final = 1000


async def promote_due_jobs(store: Store, queue_names: Sequence[str]) -> datetime | None:
    """Promote every job of these queues that is due, and return when the next one will be (None: there is none)."""
    while await store.jobs.promote_delayed_jobs(queue_names, limit=CHUNK) == CHUNK:
        pass
    return await store.jobs.get_next_delayed_timestamp(queue_names)
