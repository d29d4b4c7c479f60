"""The PostgreSQL store's entry in conveyor's plugin list."""

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
    """Offer ``postgresql://user@host/database``."""
    return (
        StoreProvider(
            name="postgres",
            schemes=("postgresql", "postgres"),
            open=_open,
            migrations=_migrations,
            contract_version=CONTRACT_VERSION,
        ),
    )


@asynccontextmanager
async def _open(url: str, injector: Injector, /) -> AsyncIterator[Store]:
    from conveyor_plugin_postgres.store import open_postgres

    async with open_postgres(url, injector) as store:
        yield store


def _migrations(url: str) -> Sequence[Migration]:
    from conveyor_plugin_postgres.options import parse_url
    from conveyor_plugin_postgres.statements import Statements, load_migrations

    statements = Statements(parse_url(url).schema)
    return tuple(statements.migration(migration) for migration in load_migrations())
