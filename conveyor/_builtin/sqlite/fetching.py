"""Fetching jobs from SQLite: locking the next ones for a worker session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor._builtin.sqlite.expiring import expire_all_of
from conveyor._builtin.sqlite.limiting import lock_guarded
from conveyor._builtin.sqlite.rows import locked_jobs, micros_after
from conveyor._builtin.sqlite.statements import sql
from conveyor.errors import SessionLostError
from conveyor.model.fetch_order import FetchColumns, ordered_as_wanted
from conveyor.model.locks import LockToken
from conveyor.model.queries import ALL_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import JobData
    from conveyor.model.queries import Want

__all__ = ["fetch_jobs"]

# Session id, fetch number, now.
_Lock: TypeAlias = tuple[str, int, int]

# So many fetches of one session may overtake each other.
_FETCHES_REMEMBERED: Final = 1000
_RECENT: Final = (1 << _FETCHES_REMEMBERED) - 1

_COLUMNS: Final = FetchColumns(queue=1, name=2, priority=5, stalled_count=7, order_at=14, order_seq=15)


def fetch_jobs(
    transaction: Transaction, wants: Sequence[Want], session_id: str, lock_duration: timedelta, fetch_number: int
) -> Sequence[JobData]:
    """Lock the next jobs for all wants, and return them in order.

    Raises:
        SessionLostError: there is no such session.
    """
    if _begin_fetch(transaction, session_id, lock_duration, fetch_number):
        lock = (session_id, fetch_number, transaction.now)
        locked = sum([_lock_jobs(transaction, want, lock) for want in wants if want.limit > 0])
        if not locked:
            return ()
    rows = transaction.connection.execute(sql("jobs/fetch_jobs_locked"), (session_id, fetch_number)).fetchall()
    return locked_jobs(ordered_as_wanted(rows, wants, _COLUMNS), LockToken(session_id, fetch_number))


def _begin_fetch(transaction: Transaction, session_id: str, lock_duration: timedelta, fetch_number: int) -> bool:
    """Extend the session's lock; return whether this number is a new fetch."""
    connection = transaction.connection
    session = connection.execute(sql("jobs/fetch_jobs_session"), (session_id,)).fetchone()
    if session is None:
        raise SessionLostError(session_id)
    highest: int = session[0]
    # Two calls may overtake each other, so a lower number can be new; bit n stands for `highest - n`.
    recent = int.from_bytes(session[1], "little")
    ahead = fetch_number - highest
    is_new = ahead > 0 or (-ahead < _FETCHES_REMEMBERED and not recent >> -ahead & 1)
    if ahead > 0:
        recent = (recent << min(ahead, _FETCHES_REMEMBERED) | 1) & _RECENT
        highest = fetch_number
    elif is_new:
        recent |= 1 << -ahead
    seen = recent.to_bytes((recent.bit_length() + 7) // 8, "little")
    until = micros_after(transaction.now, lock_duration)
    connection.execute(sql("jobs/fetch_jobs_number"), (session_id, highest, seen, until))
    return is_new


def _lock_jobs(transaction: Transaction, want: Want, lock: _Lock) -> int:
    """Make the next jobs active; return how many."""
    connection = transaction.connection
    paused = {name for (name,) in connection.execute(sql("queues/get_paused_job_names"), (want.queue_name,))}
    if ALL_NAMES in paused:
        return 0
    expire_all_of(transaction, want.queue_name)
    guard = connection.execute(sql("jobs/fetch_jobs_guard"), (want.queue_name,)).fetchone()
    if guard is not None:
        return lock_guarded(transaction, want, lock, paused, guard)
    if not (paused or want.lifo or want.is_suspect or want.job_name is not None):
        return connection.execute(sql("jobs/fetch_jobs"), (*lock, want.queue_name, want.limit)).rowcount
    if want.is_suspect:
        picked = _pick_suspect(transaction, want, lock[0])
    else:
        picked = _pick_lifo(transaction, want) if want.lifo else _pick(transaction, want)
    connection.executemany(sql("jobs/fetch_jobs_picked"), [(*lock, seq) for seq in picked])
    return len(picked)


def _pick(transaction: Transaction, want: Want) -> list[int]:
    chosen = (want.queue_name, want.job_name, want.limit)
    return [seq for (seq,) in transaction.connection.execute(sql("jobs/fetch_jobs_named"), chosen)]


def _pick_suspect(transaction: Transaction, want: Want, session_id: str) -> list[int]:
    chosen = (want.queue_name, want.job_name, session_id)
    return [seq for (seq,) in transaction.connection.execute(sql("jobs/fetch_jobs_suspect"), chosen)]


def _pick_lifo(transaction: Transaction, want: Want) -> list[int]:
    """Walk the priorities one by one with the index, so that nothing has to be sorted."""
    connection = transaction.connection
    picked: list[int] = []
    priority: int | None = None
    while len(picked) < want.limit:
        place = (want.queue_name, priority)
        (priority,) = connection.execute(sql("jobs/fetch_jobs_priority"), place).fetchone()
        if priority is None:
            break
        for statement in ("jobs/fetch_jobs_lifo_own", "jobs/fetch_jobs_lifo"):
            chosen = (want.queue_name, priority, want.job_name, want.limit - len(picked))
            picked += [seq for (seq,) in connection.execute(sql(statement), chosen)]
    return picked
