"""Adding jobs to SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from conveyor._builtin.sqlite.rows import micros_after, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_options
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added, AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.writer import Transaction
    from conveyor.model.job import NewJob

__all__ = ["save_job", "save_jobs"]

_NewRow: TypeAlias = tuple[int, str, str, str, str, int, int, int, bytes, bytes | None, int, int]


def save_job(transaction: Transaction, job: NewJob) -> AddReceipt:
    """Add one job."""
    transaction.make_queue(job.queue_name)
    row = _row(transaction, job, transaction.take_seqs(1)[0])
    if transaction.connection.execute(sql("jobs/save_jobs"), row).rowcount:
        return AddReceipt(job.id)
    return _look_closer(transaction, job, row)


def save_jobs(transaction: Transaction, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    """Add jobs; answer in the order of the input."""
    for queue_name in {job.queue_name for job in jobs}:
        transaction.make_queue(queue_name)
    seqs = transaction.take_seqs(len(jobs))
    rows = [_row(transaction, job, seq) for job, seq in zip(jobs, seqs, strict=True)]
    added = transaction.connection.executemany(sql("jobs/save_jobs"), rows).rowcount if rows else 0
    if added == len(rows):
        return [AddReceipt(job.id) for job in jobs]
    return [_look_closer(transaction, job, row) for job, row in zip(jobs, rows, strict=True)]


def _row(transaction: Transaction, job: NewJob, seq: int) -> _NewRow:
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
    return (
        seq,
        job.id,
        job.queue_name,
        job.name,
        state,
        options.priority,
        order_at,
        order_seq,
        job.payload,
        encode_options(options),
        now,
        due_at,
    )


def _look_closer(transaction: Transaction, job: NewJob, row: _NewRow) -> AddReceipt:
    connection = transaction.connection
    content = (job.id, job.queue_name, job.name, job.payload)
    known = connection.execute(sql("jobs/save_jobs_known"), content).fetchone()
    if known is not None:
        return AddReceipt(job.id, Added.ADDED if known[0] else Added.DUPLICATE)
    (is_same,) = connection.execute(sql("jobs/save_jobs_removed"), content).fetchone()
    if not is_same:
        connection.execute(sql("jobs/save_jobs_forget"), (job.id,))
        connection.execute(sql("jobs/save_jobs"), row)
    return AddReceipt(job.id)
