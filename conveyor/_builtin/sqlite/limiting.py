"""Fetching from a queue of the SQLite store that has limits or groups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from conveyor._builtin.choosing import UNGROUPED, Chooser
from conveyor._builtin.sqlite.ledger import SqliteLedger
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_limits
from conveyor.model.rates import next_turn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Set as AbstractSet

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.queries import Want

__all__ = ["lock_guarded"]

# Session id, fetch number, now.
_Lock: TypeAlias = tuple[str, int, int]
# Before every place in the round.
_START = (-1, "")


def lock_guarded(
    transaction: Transaction, want: Want, lock: _Lock, paused: AbstractSet[str], guard: tuple[bytes | None, int]
) -> int:
    """Make the next jobs active that may start; return how many."""
    limits, round_at = guard
    ledger = SqliteLedger(transaction.connection, want.queue_name, transaction.now)
    chooser = Chooser(decode_limits(limits), ledger)
    if want.is_suspect:
        locked = _lock_suspect(transaction.connection, chooser, want, lock)
    else:
        turns = _Turns(transaction.connection, want, lock, round_at)
        chooser.choose(turns, want, paused)
        turns.close(round_at)
        locked = turns.taken
    ledger.close()
    return locked


def _lock_suspect(connection: sqlite3.Connection, chooser: Chooser, want: Want, lock: _Lock) -> int:
    """Lock the first suspect that may start; nobody's turn is changed by that."""
    chosen = (want.queue_name, want.job_name, lock[0])
    for name, seq, group_id in connection.execute(sql("jobs/fetch_jobs_suspects"), chosen).fetchall():
        if group_id not in want.exclude_groups and chooser.obstacle(name, group_id) is None:
            chooser.start(name, group_id)
            return connection.execute(sql("jobs/fetch_jobs_limited"), (*lock, seq)).rowcount
    return 0


class _Turns:
    """The round of one queue during one fetch. Groups passed over lie before the place it looks from."""

    def __init__(self, connection: sqlite3.Connection, want: Want, lock: _Lock, round_at: int) -> None:
        self._connection = connection
        self._queue_name = want.queue_name
        self._lock = lock
        self._round_at = round_at
        self._place: tuple[int, str] = _START
        self._from = _START
        self.taken = 0
        self._run("jobs/fetch_jobs_freed", lock[2])
        self._run("jobs/fetch_jobs_join")

    def next_group(self) -> str | None:
        """Return the group whose turn it is."""
        found = self._run("jobs/fetch_jobs_turn", *self._from).fetchone()
        if found is None:
            return None
        group_id, at = found
        self._place = (at, group_id)
        return str(group_id)

    def head(self, group_id: str, want: Want, stopped: AbstractSet[str], /) -> tuple[str, int] | None:
        """Return the group's first waiting job that is wanted: its name and seq."""
        chosen = (group_id, want.job_name, json.dumps(sorted(stopped)))
        if not want.lifo:
            return self._first("jobs/fetch_jobs_head", *chosen)
        found = self._run("jobs/fetch_jobs_head_priority", *chosen).fetchone()
        if found is None:
            return None
        own = self._first("jobs/fetch_jobs_head_own", *chosen, found[0])
        return own or self._first("jobs/fetch_jobs_head_newest", *chosen, found[0])

    def take(self, seq: int, /) -> None:
        """Lock a job."""
        self.taken += self._connection.execute(sql("jobs/fetch_jobs_limited"), (*self._lock, seq)).rowcount

    def serve(self, group_id: str, weight: int, /) -> None:
        """Move the group on."""
        self._round_at = max(self._round_at, self._place[0])
        self._run("jobs/fetch_jobs_serve", group_id, next_turn(self._round_at, weight))

    def pass_over(self, group_id: str, /) -> None:
        """Look behind the group from now on; it leaves where nothing waits."""
        (waits,) = self._run("jobs/fetch_jobs_waits", group_id).fetchone()
        if waits:
            self._from = self._place
        else:
            self._round_at = max(self._round_at, self._place[0])
            self._run("jobs/fetch_jobs_leave", group_id)

    def park(self, group_id: str, free_at: int | None, /) -> None:
        """Pass over the turns of a group until it has room; the jobs without a group look again at the next fetch."""
        if group_id == UNGROUPED:
            self.pass_over(group_id)
        else:
            self._run("jobs/fetch_jobs_park", group_id, free_at)

    def close(self, round_at: int) -> None:
        """Note where the round stands, if it moved."""
        if self._round_at != round_at:
            self._run("jobs/fetch_jobs_round", self._round_at)

    def _first(self, statement: str, *chosen: object) -> tuple[str, int] | None:
        found: tuple[str, int] | None = self._run(statement, *chosen).fetchone()
        return found

    def _run(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql(statement), (self._queue_name, *parameters))
