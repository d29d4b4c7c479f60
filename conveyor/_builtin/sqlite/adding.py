"""Adding jobs to SQLite."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from conveyor._builtin.sqlite.rows import micros_after, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_options
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added, AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import NewJob

__all__ = ["save_jobs"]

# The rows of one job in the tables jobs and live.
_JobRow: TypeAlias = tuple[int, str, str, str, bytes, bytes | None, int, int | None]
_LiveRow: TypeAlias = tuple[int, str, str, str, int, int, int, int, int | None]


def save_jobs(transaction: Transaction, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    """Add jobs; answer in the order of the input."""
    if not jobs:
        return ()
    for queue_name in {job.queue_name for job in jobs}:
        transaction.make_queue(queue_name)
    numbered = list(zip(jobs, transaction.take_seqs(len(jobs)), strict=True))
    rows = [_job_row(transaction, job, seq) for job, seq in numbered]
    added = transaction.connection.executemany(sql("jobs/save_jobs"), rows).rowcount
    if added == len(rows):
        live_rows = [_live_row(transaction, job, seq) for job, seq in numbered]
        transaction.connection.executemany(sql("jobs/save_jobs_live"), live_rows)
        return [AddReceipt(job.id) for job in jobs]
    return [_look_closer(transaction, job, seq) for job, seq in numbered]


def _job_row(transaction: Transaction, job: NewJob, seq: int) -> _JobRow:
    options = encode_options(job.options)
    return seq, job.id, job.queue_name, job.name, job.payload, options, transaction.now, _expires_at(transaction, job)


def _live_row(transaction: Transaction, job: NewJob, seq: int) -> _LiveRow:
    now = due_at = transaction.now
    state = "waiting"
    if job.delay is not None:
        due_at = max(now, micros_after(now, job.delay))
    elif job.run_at is not None:
        due_at = max(now, to_micros(job.run_at))
    if due_at > now:
        state = "delayed"
        transaction.hint(NotificationKind.DELAYED, job.queue_name)
    else:
        transaction.hint(NotificationKind.ADDED, job.queue_name)
    options = job.options
    order_at, order_seq = (-1 - due_at, -1 - seq) if options.lifo else (due_at, seq)
    place = state, options.priority, order_at, order_seq
    return seq, job.queue_name, job.name, *place, due_at, _expires_at(transaction, job)


def _expires_at(transaction: Transaction, job: NewJob) -> int | None:
    expires = job.expires
    if expires is None:
        return None
    return micros_after(transaction.now, expires) if isinstance(expires, timedelta) else to_micros(expires)


def _look_closer(transaction: Transaction, job: NewJob, seq: int) -> AddReceipt:
    """Answer for one of several jobs whose ids were not all new."""
    connection = transaction.connection
    content = (job.id, job.queue_name, job.name, job.payload)
    known_seq, is_same = connection.execute(sql("jobs/save_jobs_known"), content).fetchone()
    if known_seq == seq:  # it was added just now
        connection.execute(sql("jobs/save_jobs_live"), _live_row(transaction, job, seq))
    return AddReceipt(job.id, Added.ADDED if is_same else Added.DUPLICATE)
