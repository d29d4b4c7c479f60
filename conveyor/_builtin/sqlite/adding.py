"""Adding jobs to SQLite."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.inserting import insert_jobs, insert_live
from conveyor._builtin.sqlite.rows import micros_after, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_options
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.inserting import JobRow, LiveRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import NewJob
    from conveyor.model.options import JobOptions

__all__ = ["save_jobs"]

# Plain strings: sqlite3 looks for an adapter for each value of any other type, even of a subclass.
_WAITING: Final = JobState.WAITING.value
_DELAYED: Final = JobState.DELAYED.value
_HINTS: Final = {_WAITING: NotificationKind.ADDED, _DELAYED: NotificationKind.DELAYED}


def save_jobs(transaction: Transaction, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    """Add jobs; answer in the order of the input."""
    if not jobs:
        return ()
    for queue_name in {job.queue_name for job in jobs}:
        transaction.make_queue(queue_name)
    seqs = transaction.take_seqs(len(jobs))
    rows = _job_rows(transaction.now, jobs, seqs)
    added = insert_jobs(transaction.connection, rows)
    if added == len(rows):
        _make_live(transaction, jobs, seqs)
        return [AddReceipt(job.id) for job in jobs]
    return [_look_closer(transaction, job, seq) for job, seq in zip(jobs, seqs, strict=True)]


def _job_rows(now: int, jobs: Sequence[NewJob], seqs: Sequence[int]) -> list[JobRow]:
    rows: list[JobRow] = []
    options: JobOptions | None = None
    encoded: bytes | None = None
    for job, seq in zip(jobs, seqs, strict=True):
        if job.options is not options:  # neighbours mostly share them
            options, encoded = job.options, encode_options(job.options)
        rows.append((seq, job.id, job.queue_name, job.name, job.payload, encoded, now, _expires_at(now, job)))
    return rows


def _make_live(transaction: Transaction, jobs: Sequence[NewJob], seqs: Sequence[int]) -> None:
    now = transaction.now
    rows = [_live_row(now, job, seq) for job, seq in zip(jobs, seqs, strict=True)]
    insert_live(transaction.connection, rows)
    for queue_name, state in {(row[1], row[3]) for row in rows}:
        transaction.hint(_HINTS[state], queue_name)


def _live_row(now: int, job: NewJob, seq: int) -> LiveRow:
    due_at = now
    if job.delay is not None:
        due_at = max(now, micros_after(now, job.delay))
    elif job.run_at is not None:
        due_at = max(now, to_micros(job.run_at))
    options = job.options
    order_at, order_seq = (-1 - due_at, -1 - seq) if options.lifo else (due_at, seq)
    state = _DELAYED if due_at > now else _WAITING
    place = state, options.priority, order_at, order_seq
    return seq, job.queue_name, job.name, *place, due_at, _expires_at(now, job)


def _expires_at(now: int, job: NewJob) -> int | None:
    expires = job.expires
    if expires is None:
        return None
    return micros_after(now, expires) if isinstance(expires, timedelta) else to_micros(expires)


def _look_closer(transaction: Transaction, job: NewJob, seq: int) -> AddReceipt:
    """Answer for one of several jobs whose ids were not all new."""
    content = (job.id, job.queue_name, job.name, job.payload)
    known_seq, is_same = transaction.connection.execute(sql("jobs/save_jobs_known"), content).fetchone()
    if known_seq == seq:  # it was added just now
        _make_live(transaction, [job], [seq])
    return AddReceipt(job.id, Added.ADDED if is_same else Added.DUPLICATE)
