"""What sqlite3's errors mean to conveyor."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Final

from conveyor.errors import ConstraintError, StoreError, StoreUnavailableError

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


_CONSTRAINTS: Final = {
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_NOTNULL": "not_null",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
}
_NAMED: Final = re.compile(r"(?:UNIQUE|NOT NULL) constraint failed: (.+\..+)")


def statement_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return conveyor's error for what a user's own statement met: its text is the driver's."""
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _TRANSIENT:
        return store_error(error, path)
    text = f"SQLite refused a statement: {error}"
    refused = _constraint(error, text) if isinstance(error, sqlite3.IntegrityError) else StoreError(text)
    refused.__cause__ = error
    return refused


def _constraint(error: sqlite3.IntegrityError, text: str) -> ConstraintError:
    kind = _CONSTRAINTS.get(error.sqlite_errorname, "other")
    # "UNIQUE constraint failed: products.sku, products.shop"; of an index over an expression it names the index.
    found = _NAMED.fullmatch(str(error)) if kind in {"unique", "not_null"} else None
    columns = () if found is None else [name.rpartition(".")[2] for name in found[1].split(", ")]
    return ConstraintError(text, kind, columns)


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
