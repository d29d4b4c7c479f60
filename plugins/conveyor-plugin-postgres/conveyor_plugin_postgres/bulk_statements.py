"""One statement for many rows of parameters, in a few round trips, and how many rows it changed in all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["changed_rows", "execute_many"]

# So many rows go to the server at once: a statement's time limit is for each such part.
AT_ONCE: Final = 1000
_END: Final = re.compile(r"[\s;]*\Z")
# What changes rows, and can be asked to return them.
_CHANGING: Final = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:insert|update|delete)\b", re.IGNORECASE | re.DOTALL)
_NO_RETURNING: Final = (asyncpg.PostgresSyntaxError, asyncpg.FeatureNotSupportedError)


async def execute_many(connection: Any, sql: str, rows: Sequence[Sequence[object]], *, savepoint: str) -> int:
    """Run a statement for each row within a savepoint; return how many rows it changed in all, -1: it changes none.

    The server's answers to statements that were sent together do not reach us, but rows that they return do. So
    each changed row is asked back; where that is not possible, each statement is sent by itself.
    """
    if not rows:
        return 0
    try:
        if _CHANGING.match(sql):
            return await _returning(connection, sql, rows)
        # Its first row alone, which tells what kind of statement it is.
        changed = changed_rows(await connection.execute(sql, *rows[0]))
        if changed >= 0:
            return changed + await _returning(connection, sql, rows[1:])
    except _NO_RETURNING:
        # It returns rows of its own, ends with a comment, or changes a table whose rules allow no returning.
        await connection.execute(f"rollback to savepoint {savepoint}")
        return await _one_by_one(connection, sql, rows)
    for part in _parts(rows[1:]):
        await connection.executemany(sql, part)
    return changed


def changed_rows(tag: str) -> int:
    """Return how many rows a statement changed by what the server answered; -1 where that has no meaning."""
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() and not tag.startswith("SELECT") else -1


def _parts(rows: Sequence[Sequence[object]]) -> Sequence[Sequence[Sequence[object]]]:
    return [rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE)]


async def _returning(connection: Any, sql: str, rows: Sequence[Sequence[object]]) -> int:
    returning = f"{_END.sub('', sql)}\nreturning 1"
    changed = 0
    for part in _parts(rows):
        changed += len(await connection.fetchmany(returning, part))
    return changed


async def _one_by_one(connection: Any, sql: str, rows: Sequence[Sequence[object]]) -> int:
    changed = 0
    for row in rows:
        changed += changed_rows(await connection.execute(sql, *row))
    return changed
