"""The prune pass: events that nobody will read are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

__all__ = ["prune_events"]


async def prune_events(store: Store) -> int:
    """Forget old events, and watchers that went without a word; return how many events went."""
    return 0 if store.events is None else await store.events.prune_events()
