"""How this store opens connections: one that writes, some that read."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Final

from conveyor.errors import StoreError

if TYPE_CHECKING:
    from conveyor._builtin.sqlite.options import SqliteOptions

__all__ = ["connect_reader", "connect_writer"]

_STATEMENTS_KEPT: Final = 256
_SETTINGS: Final = (
    # Checkpoints are taken by hand, by one process at a time: see checkpoints.py.
    "pragma wal_autocheckpoint = 0",
    "pragma journal_size_limit = 67108864",
    "pragma cache_size = -32768",
    "pragma temp_store = memory",
)
_WAL_RETRY_SECONDS: Final = 0.02


def connect_writer(options: SqliteOptions) -> sqlite3.Connection:
    """Open the connection that writes; the file becomes a WAL database.

    Raises:
        StoreError: the file system cannot hold a WAL database.
        sqlite3.Error: the driver's complaint.
    """
    connection = _connect(options, "rwc" if options.auto_migrate else "rw")
    try:
        _use_wal(connection, options)
        connection.execute(f"pragma synchronous = {options.synchronous}")
        for setting in _SETTINGS:
            connection.execute(setting)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(options: SqliteOptions) -> sqlite3.Connection:
    """Open a connection that reads only."""
    connection = _connect(options, "rw")
    try:
        connection.execute("pragma query_only = true")
        connection.execute("pragma temp_store = memory")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(options: SqliteOptions, mode: str) -> sqlite3.Connection:
    if mode == "rw" and options.path.parent.is_dir() and not options.path.exists():
        raise StoreError(
            f"SQLite file {str(options.path)!r} does not exist yet: it is made by the first program that opens the "
            "store, such as a worker, or by: conveyor store migrate"
        )
    # Only a store that may migrate makes a file: looking at a mistyped path leaves nothing behind.
    return sqlite3.connect(
        f"{options.path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=options.busy_timeout.total_seconds(),
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS_KEPT,
    )


def _use_wal(connection: sqlite3.Connection, options: SqliteOptions) -> None:
    deadline = time.monotonic() + options.busy_timeout.total_seconds()
    while True:
        try:
            mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
        except sqlite3.OperationalError as exc:
            # SQLite does not wait by itself here when another process is changing the mode at the same time.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_WAL_RETRY_SECONDS)
            continue
        if mode != "wal":
            raise StoreError(
                f"SQLite file {str(options.path)!r} cannot use a write-ahead log (it stays in mode {mode!r}): "
                "put it on a local file system"
            )
        return
