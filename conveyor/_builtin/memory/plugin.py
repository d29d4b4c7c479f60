"""The memory store's provider: what it is called and how it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import StoreProvider
from conveyor.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector
    from conveyor.model.migrations import Migration

__all__ = ["conveyor_stores"]


@hookimpl
def conveyor_stores() -> Sequence[StoreProvider]:
    """Offer the store behind ``memory://``."""
    return (
        StoreProvider(
            name="memory",
            schemes=("memory",),
            open=_open,
            migrations=_no_migrations,
            contract_version=CONTRACT_VERSION,
        ),
    )


def _open(url: str, injector: Injector, /) -> AbstractAsyncContextManager[Store]:
    from conveyor._builtin.memory.store import open_memory

    return open_memory(url, injector)


def _no_migrations() -> Sequence[Migration]:
    return ()
