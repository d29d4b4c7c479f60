"""Many jobs of SQLite's buffers at once: those that have much in common by one statement for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from conveyor._builtin.sqlite.inserting import LARGEST_PAYLOAD, divided
from conveyor._builtin.sqlite.packing import as_json, lay_out
from conveyor._builtin.sqlite.removing import delete_settled
from conveyor._builtin.sqlite.rows import error_column, expiry_micros, micros_after, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_deduplication, encode_options
from conveyor.model.events import NotificationKind
from conveyor.model.retention import kept_for

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.buffers.dead_letters import DeadLetters
    from conveyor.model.job import NewJob

__all__ = ["fail_added", "insert_buffered"]

# seq, id, queue, name, payload, options, run_at, expires_at, deduplication.
_Row: TypeAlias = tuple[int, str, str, str, bytes, bytes | None, int | None, int | None, bytes | None]


def insert_buffered(transaction: Transaction, buffer_id: str, jobs: Sequence[NewJob]) -> int:
    """Insert jobs in their order, except those whose ids are taken, here or by jobs; return how many."""
    connection, now = transaction.connection, transaction.now
    (last,) = connection.execute(sql("buffers/add_last")).fetchone()
    rows = [_row(job, seq, now) for seq, job in enumerate(jobs, last + 1)]
    # Of those with one id, the first is added: in the order of the input, then.
    has_twins = len({row[1] for row in rows}) < len(rows)
    groups, rest = ([], rows) if has_twins else divided(rows, _share)
    inserted = sum([_insert_alike(connection, buffer_id, now, group) for group in groups])
    if rest:
        inserted += connection.executemany(
            sql("buffers/add"), [(*row, len(row[4]), buffer_id, now) for row in rest]
        ).rowcount
    return inserted


def _row(job: NewJob, seq: int, now: int) -> _Row:
    content = seq, job.id, job.queue_name, job.name, job.payload, encode_options(job.options)
    if job.delay is None and job.run_at is None and job.expires is None and job.deduplication is None:
        # Nearly all, and each of these would be a call.
        return (*content, None, None, None)
    run_at = None if job.run_at is None else to_micros(job.run_at)
    if job.delay is not None:
        run_at = micros_after(now, job.delay)
    return (*content, run_at, expiry_micros(now, job), encode_deduplication(job.deduplication))


def _share(row: _Row) -> tuple[object, ...] | None:
    return None if len(row[4]) > LARGEST_PAYLOAD else (row[2], row[3], *row[5:])


def _insert_alike(connection: sqlite3.Connection, buffer_id: str, now: int, rows: Sequence[_Row]) -> int:
    payloads, places = lay_out([row[4] for row in rows])
    first, _, queue, name, _, *asked = rows[0]
    # Three numbers in one, of as many bits as a thousand of the largest take: JSON is read once for each job then.
    ids = as_json(
        {row[1]: row[0] - first << 40 | start << 16 | length for row, (start, length) in zip(rows, places, strict=True)}
    )
    placed = (ids, first, buffer_id, queue, name, payloads, *asked, now)
    return connection.execute(sql("buffers/add_alike"), placed).rowcount


def fail_added(transaction: Transaction, letters: DeadLetters) -> None:
    """Let jobs fail that were added just now."""
    connection, ids = transaction.connection, as_json(letters.job_ids)
    kept = kept_for(letters.removal)
    remove_at = None if kept is None else micros_after(transaction.now, kept)
    error = letters.error
    ended = (ids, transaction.now, error_column(error), error.fingerprint or None, remove_at)
    connection.execute(sql("buffers/commit_failed"), ended)
    connection.execute(sql("buffers/commit_failed_live"), (ids,))
    transaction.hint(NotificationKind.FINISHED, letters.queue_name)
    if letters.removal is True:
        for job_id in letters.job_ids:
            delete_settled(transaction, job_id)
