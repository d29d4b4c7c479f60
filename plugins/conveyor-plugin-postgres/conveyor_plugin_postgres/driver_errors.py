"""What asyncpg's errors mean to conveyor."""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from conveyor.errors import ConstraintError, SessionLostError, StoreError, StoreUnavailableError

__all__ = ["DRIVER_ERRORS", "statement_error", "store_error"]

# InternalClientError is raised, too, where the server has said goodbye and its end of the connection is not yet read.
DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

# What drivers raise by themselves, nearly always for a connection that was closed under them; psycopg's names, too.
_CONNECTION_GONE: Final = frozenset({"InterfaceError", "InternalClientError", "OperationalError"})

# PgBouncer says so, with the SQLSTATE of a broken connection.
_REFUSED_SETTING: Final = "unsupported startup parameter"

# What the schema's own functions raise; the detail is the session's id.
NO_SESSION: Final = "CV001"

# By class of SQLSTATE, or by the whole of it.
_TRANSIENT: Final = {
    "08": "the connection was lost; is the server up?",
    "25006": "the server takes no writes now: is it a replica, or being switched over?",
    "40": "another transaction was in the way; try again",
    "53": "the server is short of something: connections, memory or disk",
    "55P03": "somebody else holds a lock on it; try again",
    "57": "the server stopped the statement, or is stopping itself; try again",
    "58": "the server's disk or file system failed: look at its log",
}

_POOLED: Final = "is a pooler in its transaction mode in between? then add pooler=transaction to the store's URL"

_LASTING: Final = {
    "26000": _POOLED,
    "28": "check user and password in the store's URL",
    "3D": "create the database, or correct its name in the store's URL",
    "3F": "is the schema complete? run: conveyor store migrate",
    "42501": "give the user the rights on the schema that the documentation lists",
    "42P05": _POOLED,
    "42": "is the schema complete? run: conveyor store migrate",
}


_CONSTRAINT_CLASS: Final = "23"
_CONSTRAINTS: Final = {"23505": "unique", "23502": "not_null", "23503": "foreign_key", "23514": "check"}
_KEY: Final = re.compile(r"\(([^()]+)\)=\(")


def statement_error(error: BaseException, shown: str) -> StoreError:
    """Return conveyor's error for what a user's own statement met: its text is the driver's."""
    if _advice(error, _TRANSIENT) is not None or getattr(error, "sqlstate", None) is None:
        return store_error(error, shown)
    text = f"PostgreSQL refused a statement: {error}"
    state = str(getattr(error, "sqlstate", ""))
    refused = _constraint(error, state, text) if state.startswith(_CONSTRAINT_CLASS) else StoreError(text)
    refused.__cause__ = error
    return refused


def _constraint(error: BaseException, state: str, text: str) -> ConstraintError:
    column = getattr(error, "column_name", None)
    if column is not None:
        return ConstraintError(text, _CONSTRAINTS.get(state, "other"), [column])
    # In every language: "Key (sku, shop)=(tea, here) already exists." An expression is no column.
    found = _KEY.search(getattr(error, "detail", None) or "")
    columns = [] if found is None else found[1].split(", ")
    return ConstraintError(text, _CONSTRAINTS.get(state, "other"), columns)


def store_error(error: BaseException, shown: str) -> StoreError:
    """Return conveyor's error for one of the driver's; raise or keep it with the driver's as its cause."""
    text = str(error) or type(error).__name__
    if getattr(error, "sqlstate", None) == NO_SESSION:
        found: StoreError = SessionLostError(getattr(error, "detail", None) or "")
    elif _REFUSED_SETTING in text:
        found = StoreError(f"{shown}: {text}; {_POOLED}")
    elif (advice := _advice(error, _TRANSIENT)) is not None:
        found = StoreUnavailableError(f"{shown}: {text}; {advice}")
    elif isinstance(error, OSError | TimeoutError):
        found = StoreUnavailableError(f"{shown}: {text}; is the server up, and can it be reached from here?")
    elif type(error).__name__ in _CONNECTION_GONE:
        found = StoreUnavailableError(f"{shown}: {text}; the connection is gone, try again")
    else:
        lasting = _advice(error, _LASTING)
        found = StoreError(f"{shown}: {text}{'' if lasting is None else f'; {lasting}'}")
    found.__cause__ = error
    return found


def _advice(error: BaseException, advices: dict[str, str]) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    if state is None:
        return None
    return advices.get(state) or advices.get(state[:2])
