"""The schema facet of the PostgreSQL store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors import SchemaError
from conveyor.model.migrations import SchemaStatus, plan
from conveyor_plugin_postgres.statements import load_migrations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.migrations import Migration
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["PostgresSchema", "apply_migrations"]


class PostgresSchema:
    """Versioned migrations. See `conveyor.contracts.store.schema`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_status(self) -> SchemaStatus:
        """Return the version found, the version wanted, and what lies between."""
        return await self._database.read(_status)

    async def migrate(self) -> Sequence[Migration]:
        """Apply what is missing; an advisory lock lets one process at a time in."""
        status = await self.get_status()
        # Who has nothing to do takes no lock and needs no right to create anything.
        if status.found == status.wanted and not status.pending:
            return ()
        return await self._database.write(apply_migrations)


async def _status(part: Part) -> SchemaStatus:
    available = load_migrations()
    applied = await _applied(part)
    newest = max(applied, default=0)
    pending = () if newest > available[-1].version else plan(applied, available)
    return SchemaStatus(newest, available[-1].version, pending)


async def apply_migrations(part: Part) -> Sequence[Migration]:
    """Apply what is missing, inside a transaction; return what was applied."""
    await part.execute("schema/migrate_lock", part.statements.schema)
    pending = plan(await _applied(part), load_migrations())
    if pending:
        await part.execute("schema/migrate_schema")
        await part.execute("schema/migrate_table")
    for migration in pending:
        await part.connection.execute(part.statements.of_schema(migration.up))
        await part.execute("schema/migrate", migration.version, migration.name, migration.checksum)
    return pending


async def _applied(part: Part) -> dict[int, str]:
    row: Row  # there is always one
    row = await part.fetchrow("schema/get_status_table", part.statements.schema)
    is_noted, is_made = row
    applied = dict(await part.fetch("schema/get_status")) if is_noted else {}
    if is_made and not applied:
        raise SchemaError(found=0, wanted=load_migrations()[-1].version, is_unrecorded=True)
    return applied
