"""Adding on the caller's own connection, inside the caller's own transaction."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from conveyor._builtin.sqlite.driver_errors import statement_error
from conveyor._builtin.sqlite.transaction import Transaction
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["add_in_savepoint", "join"]

T = TypeVar("T")


def join(connection: sqlite3.Connection, path: Path, add: Callable[[Transaction], T], now: int) -> T:
    """Add something inside the transaction of this connection, here and now, on the thread that calls.

    Raises:
        ConfigurationError: the connection has no transaction, is on another file, or belongs to another thread.
        StoreError: the driver failed; the add left nothing.
    """
    try:
        with _plain_rows(connection):
            _check_file(connection, path)
            _check_transaction(connection)
            # Hints are dropped: nobody knows when the caller commits; `data_version` tells then.
            return add_in_savepoint(Transaction(connection, now), add)
    except sqlite3.ProgrammingError as exc:  # closed, or made in another thread
        raise ConfigurationError(f"connection= cannot be used here: {exc}") from exc
    except sqlite3.Error as exc:
        raise statement_error(exc, path) from exc


def add_in_savepoint(transaction: Transaction, add: Callable[[Transaction], T]) -> T:
    """Add something so that a failure leaves nothing in a transaction that goes on."""
    connection = transaction.connection
    connection.execute("savepoint conveyor_add")
    try:
        answer = add(transaction)
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback to conveyor_add")
            connection.execute("release conveyor_add")
        raise
    connection.execute("release conveyor_add")
    return answer


def _check_file(connection: sqlite3.Connection, path: Path) -> None:
    # Columns: number, name of the schema, file. Only the main one is meant by a table's bare name.
    files = {row[1]: row[2] for row in connection.execute("pragma database_list").fetchall()}
    opened = Path(files["main"]) if files.get("main") else None
    if opened is None or not opened.exists() or not opened.samefile(path):
        shown = "a database in memory" if opened is None else repr(str(opened))
        raise ConfigurationError(
            f"connection= is a connection to {shown}, but the store keeps its jobs in {str(path)!r}: "
            "open it on the store's file"
        )


def _check_transaction(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        return
    if connection.isolation_level is None:
        # A savepoint outside of a transaction is one of its own: its release would commit the add.
        raise ConfigurationError(
            "connection= has no transaction to join, and commits each statement by itself: "
            'begin one first, with connection.execute("begin immediate")'
        )
    # Outside of one, sqlite3 begins a transaction before the first insert; a savepoint must not come earlier.
    connection.execute(f"begin {connection.isolation_level}")


@contextmanager
def _plain_rows(connection: sqlite3.Connection) -> Iterator[None]:
    """See rows as tuples, whatever the caller makes of them."""
    row_factory, connection.row_factory = connection.row_factory, None
    try:
        yield
    finally:
        connection.row_factory = row_factory
