"""The expiry pass: jobs that had not started in time are cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

__all__ = ["expire_jobs"]

CHUNK: Final = 1000


async def expire_jobs(store: Store) -> int:
    """Cancel every job whose time to start is over; return how many there were."""
    total = 0
    while True:
        count = await store.jobs.expire_jobs(limit=CHUNK)
        total += count
        if count < CHUNK:
            return total
