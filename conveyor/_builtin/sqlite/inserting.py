"""Inserting jobs: those that differ in nothing but id and payload by one statement for all, the others by one each."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from conveyor._builtin.sqlite.packing import as_json, lay_out
from conveyor._builtin.sqlite.statements import sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

__all__ = ["LARGEST_PAYLOAD", "JobRow", "LiveRow", "divided", "insert_jobs", "insert_live"]

# A job in the table conveyor_jobs: seq, id, queue, name, payload, options, created_at, expires_at.
JobRow: TypeAlias = tuple[int, str, str, str, bytes, bytes | None, int, int | None]
# And in the table conveyor_live: seq, queue, name, state, priority, order_at, order_seq, run_at, expires_at,
# group.
LiveRow: TypeAlias = tuple[int, str, str, str, int, int, int, int, int | None, str | None]

R = TypeVar("R", bound=tuple[object, ...])

# From so many on, one statement is cheaper than one each; and no statement is for more than this.
_FEW: Final = 4
_MANY: Final = 1000
# Larger ones are bound by themselves: a copy costs more than a statement, and a thousand copies much memory.
LARGEST_PAYLOAD: Final = 4096

_live_share: Final = itemgetter(1, 2, 3, 4, 5, 7, 8, 9)


def insert_jobs(connection: sqlite3.Connection, rows: Sequence[JobRow]) -> int:
    """Insert what jobs are, except those whose ids are taken; return how many."""
    if len({row[1] for row in rows}) < len(rows):
        # Of those with one id, the first is added: in the order of the input, then.
        return connection.executemany(sql("jobs/save_jobs"), rows).rowcount
    groups, rest = divided(rows, _jobs_share)
    inserted = sum([_insert_jobs_alike(connection, group) for group in groups])
    if rest:
        inserted += connection.executemany(sql("jobs/save_jobs"), rest).rowcount
    return inserted


def insert_live(connection: sqlite3.Connection, rows: Sequence[LiveRow]) -> None:
    """Insert how jobs wait that were inserted just now."""
    groups, rest = divided(rows, _live_share)
    for group in groups:
        _, queue, name, state, priority, order_at, _, run_at, expires_at, group_id = group[0]
        shared = (queue, name, state, priority, order_at, run_at, expires_at, group_id)
        connection.execute(sql("jobs/save_jobs_alike_live"), (as_json([row[0] for row in group]), *shared))
    if rest:
        connection.executemany(sql("jobs/save_jobs_live"), rest)


def _insert_jobs_alike(connection: sqlite3.Connection, rows: Sequence[JobRow]) -> int:
    payloads, places = lay_out([row[4] for row in rows])
    ids = as_json([(row[0], row[1], start, length) for row, (start, length) in zip(rows, places, strict=True)])
    _, _, queue, name, _, *shared = rows[0]
    return connection.execute(sql("jobs/save_jobs_alike"), (ids, queue, name, payloads, *shared)).rowcount


def _jobs_share(row: JobRow) -> tuple[object, ...] | None:
    _, _, queue, name, payload, options, _, expires_at = row
    return None if len(payload) > LARGEST_PAYLOAD else (queue, name, options, expires_at)


def divided(rows: Sequence[R], share: Callable[[R], tuple[object, ...] | None]) -> tuple[list[Sequence[R]], list[R]]:
    """Return groups of rows that share what they do, and the rows that are not worth a group or share None."""
    if len(rows) < _FEW:
        return [], list(rows)
    alike: defaultdict[tuple[object, ...] | None, list[R]] = defaultdict(list)
    for row in rows:
        alike[share(row)].append(row)
    rest = alike.pop(None, [])
    groups: list[Sequence[R]] = []
    for group in alike.values():
        if len(group) < _FEW:
            rest += group
        else:
            groups += [group[start : start + _MANY] for start in range(0, len(group), _MANY)]
    return groups, rest
