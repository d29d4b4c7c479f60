"""Fetching from a queue of the SQLite store that has limits or groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.choosing import Chooser
from conveyor._builtin.sqlite.ledger import SqliteLedger
from conveyor._builtin.sqlite.rounds import GroupRound, lock_limited
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_limits

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Set as AbstractSet

    from conveyor._builtin.sqlite.rounds import FetchLock
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.queries import Want

__all__ = ["lock_guarded"]


def lock_guarded(
    transaction: Transaction, want: Want, lock: FetchLock, paused: AbstractSet[str], guard: tuple[bytes | None, int]
) -> int:
    """Make the next jobs active that may start; return how many."""
    limits, round_at = guard
    # Of a queue that has groups alone nobody asks, and to be in one more index costs each of its jobs.
    is_counted = limits is not None
    ledger = SqliteLedger(transaction.connection, want.queue_name, transaction.now)
    chooser = Chooser(decode_limits(limits), ledger)
    if want.is_suspect:
        locked = _lock_suspect(transaction.connection, chooser, want, lock, is_counted=is_counted)
    else:
        turns = GroupRound(transaction.connection, want, lock, round_at, is_counted=is_counted)
        chooser.choose(turns, want, paused)
        turns.close()
        locked = turns.taken
    ledger.close()
    return locked


def _lock_suspect(
    connection: sqlite3.Connection, chooser: Chooser, want: Want, lock: FetchLock, *, is_counted: bool
) -> int:
    """Lock the first suspect that may start; nobody's turn is changed by that."""
    chosen = (want.queue_name, want.job_name, lock[0])
    for name, seq, group_id in connection.execute(sql("jobs/fetch_jobs_suspects"), chosen).fetchall():
        if group_id not in want.exclude_groups and chooser.obstacle(name, group_id) is None:
            chooser.start(name, group_id)
            return lock_limited(connection, lock, [seq], is_counted=is_counted)
    return 0
