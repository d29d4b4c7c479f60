"""The SQLite store's entry in conveyor's plugin list."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import StoreProvider
from conveyor.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector
    from conveyor.model.migrations import Migration

__all__ = ["conveyor_stores"]


@hookimpl
def conveyor_stores() -> Sequence[StoreProvider]:
    """Offer ``sqlite:///relative.db`` and ``sqlite:////absolute.db``."""
    return (
        StoreProvider(
            name="sqlite",
            schemes=("sqlite",),
            open=_open,
            migrations=_migrations,
            contract_version=CONTRACT_VERSION,
        ),
    )


@asynccontextmanager
async def _open(url: str, injector: Injector, /) -> AsyncIterator[Store]:
    from conveyor._builtin.sqlite.store import open_sqlite

    async with open_sqlite(url, injector) as store:
        yield store


def _migrations(_url: str) -> Sequence[Migration]:
    from conveyor._builtin.sqlite.statements import load_migrations

    return load_migrations()
