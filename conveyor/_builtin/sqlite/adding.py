"""Adding jobs to SQLite."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.deduplicating import forget_old_keys
from conveyor._builtin.sqlite.guards import count_waiting_of_group, guard_queue
from conveyor._builtin.sqlite.inserting import insert_jobs, insert_live
from conveyor._builtin.sqlite.met_keys import MetKeys
from conveyor._builtin.sqlite.reading import look_for_job
from conveyor._builtin.sqlite.rows import due_micros, expiry_micros
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
    for queue_name in {job.queue_name for job in jobs if job.options.group is not None}:
        guard_queue(transaction, queue_name)
    if any(job.options.group is not None and job.options.group.max_size is not None for job in jobs):
        return [_save_if_room(transaction, job) for job in jobs]
    return _save(transaction, jobs)


def _save(transaction: Transaction, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    if all(job.deduplication is None for job in jobs):
        return _save_plain(transaction, jobs)
    receipts: list[AddReceipt] = []
    for has_key, group in groupby(jobs, lambda job: job.deduplication is not None):
        receipts += (_save_deduplicated if has_key else _save_plain)(transaction, list(group))
    return receipts


def _save_deduplicated(transaction: Transaction, jobs: Sequence[NewJob]) -> list[AddReceipt]:
    forget_old_keys(transaction, jobs)
    met = MetKeys(transaction, jobs)
    rest = [job for place, job in enumerate(jobs) if place not in met.receipts]
    added = iter(_save_plain(transaction, rest))
    met.write()
    met.show_holders()
    return [met.receipts.get(place) or next(added) for place in range(len(jobs))]


def _save_plain(transaction: Transaction, jobs: Sequence[NewJob]) -> list[AddReceipt]:
    if not jobs:
        return []
    seqs = transaction.take_seqs(len(jobs))
    rows = _job_rows(transaction.now, jobs, seqs)
    added = insert_jobs(transaction.connection, rows)
    if added == len(rows):
        _make_live(transaction, jobs, seqs)
        return [AddReceipt(job.id) for job in jobs]
    return [_look_closer(transaction, job, seq) for job, seq in zip(jobs, seqs, strict=True)]


def _save_if_room(transaction: Transaction, job: NewJob) -> AddReceipt:
    """Add one job unless it is new and its group is full."""
    group, waits = job.options.group, due_micros(transaction.now, job) <= transaction.now
    if group is None or group.max_size is None or not waits or look_for_job(transaction.connection, job.id):
        return _save(transaction, [job])[0]
    is_full = count_waiting_of_group(transaction.connection, job.queue_name, group.id) >= group.max_size
    if is_full and not (job.deduplication is not None and MetKeys(transaction, [job]).receipts):
        return AddReceipt(job.id, Added.GROUP_FULL)
    return _save(transaction, [job])[0]


def _job_rows(now: int, jobs: Sequence[NewJob], seqs: Sequence[int]) -> list[JobRow]:
    rows: list[JobRow] = []
    options: JobOptions | None = None
    encoded: bytes | None = None
    for job, seq in zip(jobs, seqs, strict=True):
        if job.options is not options:  # neighbours mostly share them
            options, encoded = job.options, encode_options(job.options)
        rows.append((seq, job.id, job.queue_name, job.name, job.payload, encoded, now, expiry_micros(now, job)))
    return rows


def _make_live(transaction: Transaction, jobs: Sequence[NewJob], seqs: Sequence[int]) -> None:
    now = transaction.now
    rows = [_live_row(now, job, seq) for job, seq in zip(jobs, seqs, strict=True)]
    insert_live(transaction.connection, rows)
    for queue_name, state in {(row[1], row[3]) for row in rows}:
        transaction.hint(_HINTS[state], queue_name)


def _live_row(now: int, job: NewJob, seq: int) -> LiveRow:
    due_at = due_micros(now, job)
    options = job.options
    order_at, order_seq = (-1 - due_at, -1 - seq) if options.lifo else (due_at, seq)
    state = _DELAYED if due_at > now else _WAITING
    place = state, options.priority, order_at, order_seq
    group_id = None if options.group is None else options.group.id
    return seq, job.queue_name, job.name, *place, due_at, expiry_micros(now, job), group_id


def _look_closer(transaction: Transaction, job: NewJob, seq: int) -> AddReceipt:
    """Answer for one of several jobs whose ids were not all new."""
    content = (job.id, job.queue_name, job.name, job.payload)
    known_seq, is_same = transaction.connection.execute(sql("jobs/save_jobs_known"), content).fetchone()
    if known_seq == seq:  # it was added just now
        _make_live(transaction, [job], [seq])
    return AddReceipt(job.id, Added.ADDED if is_same else Added.DUPLICATE)
