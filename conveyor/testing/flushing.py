"""Flushing: whoever has a store open takes from one buffer, a few jobs at a time, and tells which it added."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from conveyor.model.buffers.values import FlushPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.contracts.store import BufferStore, Store

__all__ = ["BUFFER", "flush_all", "flush_in_crowd"]

BUFFER: Final = "crates"
AT_ONCE: Final = 7
TAKEN_FOR: Final = timedelta(minutes=1)


async def flush_all(buffers: BufferStore) -> list[str]:
    """Flush until the buffer is empty: of each few jobs the first does the work of all; return those first."""
    added: list[str] = []
    while BUFFER in await buffers.get_sizes():
        token = secrets.token_hex(16)
        kept = await buffers.take(BUFFER, token, TAKEN_FOR, limit=AT_ONCE)
        if not kept:
            # Another has it just now.
            await anyio.lowlevel.checkpoint()
            continue
        first, *others = (one.job for one in kept)
        merged = {job.id: first.id for job in others}
        receipts = await buffers.commit(token, FlushPlan([one.job.id for one in kept], [first], merged))
        added += [receipt.job_id for receipt in receipts]
    return added


async def flush_in_crowd(store: Store, start: Callable[[], object]) -> list[str]:
    """Do it when the others are there as well; see `conveyor.testing.crowd`."""
    assert store.buffers is not None, "the store declares has_buffers"
    await anyio.to_thread.run_sync(start)
    return await flush_all(store.buffers)
