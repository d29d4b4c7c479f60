"""What sqlite3's errors mean to conveyor."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from conveyor.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["statement_error", "store_error"]

_PRIMARY: Final = 0xFF

# What passes by itself, or can be mended while the program waits.
_TRANSIENT: Final = {
    sqlite3.SQLITE_BUSY: "another process is writing; wait, or raise busy_timeout in the URL",
    sqlite3.SQLITE_LOCKED: "another connection holds it; try again",
    sqlite3.SQLITE_PROTOCOL: "too many processes open it at once; try again",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_IOERR: "the disk or file system failed: look at its free space, limits and the system's log",
    sqlite3.SQLITE_NOMEM: "memory ran out",
    sqlite3.SQLITE_CANTOPEN: (
        "the file cannot be opened: does it, or its directory, exist, and may this process write there?"
    ),
    sqlite3.SQLITE_READONLY: "the file or its directory is read-only: give this process the right to write",
    sqlite3.SQLITE_PERM: "this process may not open the file: give it the right to read and write",
}

# What waiting does not help.
_LASTING: Final = {
    sqlite3.SQLITE_NOTADB: "the file is something else than a SQLite database: name another one",
    sqlite3.SQLITE_CORRUPT: "the database is damaged: restore a backup, or rescue it with sqlite3's .recover",
    sqlite3.SQLITE_ERROR: "is its schema complete? see: conveyor store check",
}


def statement_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return conveyor's error for what a user's own statement met: its text is the driver's."""
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _TRANSIENT:
        return store_error(error, path)
    refused = StoreError(f"SQLite refused a statement: {error}")
    refused.__cause__ = error
    return refused


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return conveyor's error for one of the driver's; raise or keep it with the driver's as its cause."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code in _TRANSIENT:
        unavailable = StoreUnavailableError(f"SQLite file {str(path)!r}: {error}; {_TRANSIENT[code]}")
        unavailable.__cause__ = error
        return unavailable
    advice = f"; {_LASTING[code]}" if code in _LASTING else ""
    lasting = StoreError(f"SQLite file {str(path)!r}: {error}{advice}")
    lasting.__cause__ = error
    return lasting
