"""The schema facet of the SQLite store."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.operations import roll_back
from conveyor._builtin.sqlite.statements import load_migrations, sql
from conveyor._builtin.sqlite.transaction import Transaction
from conveyor.errors import SchemaError
from conveyor.model.migrations import SchemaStatus, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.migrations import Migration

__all__ = ["SqliteSchema", "bring_up_to_date", "split_statements"]


class SqliteSchema:
    """Versioned migrations. See `conveyor.contracts.store.schema`."""

    def __init__(self, writer: Writer) -> None:
        self._write = writer.run

    async def get_status(self) -> SchemaStatus:
        """Return the version found, the version wanted, and what lies between."""
        # By the writer: readers may not create the file's log, and this is asked before anything exists.
        return await self._write(_status)

    async def migrate(self) -> Sequence[Migration]:
        """Apply what is missing; the write lock lets one process at a time in."""
        return await self._write(_migrate)


def bring_up_to_date(connection: sqlite3.Connection, now: int, *, auto_migrate: bool) -> None:
    """Migrate a file that is opened in place of another, or refuse it.

    Raises:
        SchemaError: its schema is another one, and is not to be migrated or is newer.
        sqlite3.Error: the driver's complaint.
    """
    connection.execute("begin immediate")
    try:
        transaction = Transaction(connection, now)
        status = _status(transaction)
        if status.found > status.wanted or (status.pending and not auto_migrate):
            raise SchemaError(found=status.found, wanted=status.wanted)
        _migrate(transaction)
        connection.execute("commit")
    finally:
        roll_back(connection)


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, each with the comments before it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


def _status(transaction: Transaction) -> SchemaStatus:
    available = load_migrations()
    applied = _applied(transaction.connection)
    pending = () if _is_newer(applied, available) else plan(applied, available)
    return SchemaStatus(max(applied, default=0), available[-1].version, pending)


def _migrate(transaction: Transaction) -> Sequence[Migration]:
    connection = transaction.connection
    pending = plan(_applied(connection), load_migrations())
    if pending:
        connection.execute(sql("schema/migrate_table"))
    for migration in pending:
        for statement in split_statements(migration.up):
            connection.execute(statement)
        row = (migration.version, migration.name, migration.checksum, transaction.now)
        connection.execute(sql("schema/migrate"), row)
    return pending


def _applied(connection: sqlite3.Connection) -> dict[int, str]:
    is_noted, is_made = connection.execute(sql("schema/get_status_table")).fetchone()
    applied = dict(connection.execute(sql("schema/get_status")).fetchall()) if is_noted else {}
    if is_made and not applied:
        raise SchemaError(found=0, wanted=load_migrations()[-1].version, is_unrecorded=True)
    return applied


def _is_newer(applied: dict[int, str], available: Sequence[Migration]) -> bool:
    return max(applied, default=0) > available[-1].version
