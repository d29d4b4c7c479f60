"""What is kept in memory: the providers of the store and of the buffer storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import BufferStorageProvider, StoreProvider
from conveyor.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector
    from conveyor.model.migrations import Migration

__all__ = ["conveyor_buffer_storages", "conveyor_stores"]


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


@hookimpl
def conveyor_buffer_storages() -> Sequence[BufferStorageProvider]:
    """Offer the buffer storage "memory"."""
    return (BufferStorageProvider(name="memory", create=_make_buffer_storage, contract_version=CONTRACT_VERSION),)


def _make_buffer_storage() -> JobBufferStorageStrategy:
    from conveyor._builtin.memory_buffer import InMemoryJobBufferStorageStrategy

    return InMemoryJobBufferStorageStrategy()


def _open(url: str, injector: Injector, /) -> AbstractAsyncContextManager[Store]:
    from conveyor._builtin.memory.store import open_memory

    return open_memory(url, injector)


def _no_migrations(_url: str) -> Sequence[Migration]:
    return ()
