"""Deduplication in SQLite: keys, the jobs that hold them, and the adds that were answered without a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.reading import look_for_job
from conveyor._builtin.sqlite.rows import due_micros, expiry_micros, micros_after
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_options
from conveyor.model.deduplication import ANSWERS_REMEMBERED, OUTCOMES, DeduplicationMode, add_digest, is_held
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.deduplication import Deduplication
    from conveyor.model.job import JobData, NewJob

__all__ = ["find_by_key", "forget_old_adds", "forget_old_keys", "meet_key", "meets_key", "take_new_keys"]

# Each add clears away twice as much as it leaves.
_FORGOTTEN_PER_ADD: Final = 2
_WAITING: Final = JobState.WAITING.value
_DELAYED: Final = JobState.DELAYED.value
_CHANGING: Final = frozenset({DeduplicationMode.REPLACE, DeduplicationMode.DEBOUNCE})


def take_new_keys(transaction: Transaction, jobs: Sequence[NewJob]) -> set[str]:
    """Take the keys of jobs; return the ids of those that got theirs.

    Of the others the key was taken before, or the job or its add is not new. See `meet_key` then.
    """
    # Of two with one id only the first is new.
    first = {job.id: job for job in reversed(jobs)}
    rows = [
        (*_named_key(job, asked), job.id, _until(transaction, asked), _digest(job))
        for job in jobs
        if (asked := job.deduplication) is not None and first[job.id] is job
    ]
    taken = transaction.connection.execute(sql("jobs/save_jobs_take_keys"), (as_json(rows), transaction.now))
    return {job_id for (job_id,) in taken.fetchall()}


def meets_key(transaction: Transaction, job: NewJob) -> bool:
    """Look whether a new job has a key that another job holds, or was answered so before."""
    asked = job.deduplication
    return asked is not None and _look(transaction, job, asked, _digest(job)).is_met


def meet_key(transaction: Transaction, job: NewJob, asked: Deduplication) -> AddReceipt | None:
    """Do what the mode says where another job holds the key of a new one; None: the new one took it, or is not new."""
    digest = _digest(job)
    met = _look(transaction, job, asked, digest)
    if met.is_known:
        return None
    if met.answer is not None:
        return met.answer
    if met.holder is None:
        _take(transaction, job, asked)
        return None
    if asked.mode in _CHANGING and met.state is not None:
        _change(transaction, met.holder, job, met.state, is_replaced=asked.mode is DeduplicationMode.REPLACE)
    return _remember(transaction, digest, AddReceipt(met.holder, OUTCOMES[asked.mode]))


def forget_old_adds(transaction: Transaction, count: int) -> None:
    """Clear away answers that were given long ago, where so many were given now."""
    if count:
        old = (transaction.now, _FORGOTTEN_PER_ADD * count)
        transaction.connection.execute(sql("jobs/save_jobs_forget_adds"), old)


def forget_old_keys(transaction: Transaction, jobs: Sequence[NewJob]) -> None:
    """Clear away some keys whose time is over, where one of these jobs took one for a time."""
    if any(job.deduplication is not None and job.deduplication.ttl is not None for job in jobs):
        old = (transaction.now, _FORGOTTEN_PER_ADD * len(jobs))
        transaction.connection.execute(sql("jobs/save_jobs_forget_keys"), old)


def find_by_key(connection: sqlite3.Connection, now: int, *key: str) -> JobData | None:
    """Return the live job that has a key."""
    row = connection.execute(sql("jobs/find_by_deduplication_key"), (*key, now)).fetchone()
    return None if row is None else look_for_job(connection, row[0])


class _Met(NamedTuple):
    """What an add meets: a job with its id, its own answer of before, a job that holds its key (state None: gone)."""

    is_known: bool
    answer: AddReceipt | None
    holder: str | None
    state: str | None

    @property
    def is_met(self) -> bool:
        return self.answer is not None or self.holder is not None


def _look(transaction: Transaction, job: NewJob, asked: Deduplication, digest: str) -> _Met:
    place = (job.id, digest, *_named_key(job, asked), transaction.now)
    found = transaction.connection.execute(sql("jobs/save_jobs_met"), place).fetchone()
    is_known, answered_id, outcome, holder, state, has_window = found
    answer = None if answered_id is None else AddReceipt(answered_id, Added(outcome))
    is_taken = holder is not None and is_held(
        asked, None if state is None else JobState(state), has_window=bool(has_window)
    )
    return _Met(bool(is_known), answer, holder if is_taken else None, state)


def _take(transaction: Transaction, job: NewJob, asked: Deduplication) -> None:
    row = (*_named_key(job, asked), job.id, _until(transaction, asked))
    if not transaction.connection.execute(sql("jobs/save_jobs_take_over"), row).rowcount:
        transaction.connection.execute(sql("jobs/save_jobs_take_key"), row)


def _change(transaction: Transaction, job_id: str, job: NewJob, state: str, *, is_replaced: bool) -> None:
    connection, now = transaction.connection, transaction.now
    due_at = due_micros(now, job)
    new_state = _DELAYED if due_at > now else _WAITING
    if is_replaced:
        options, expires_at = job.options, expiry_micros(now, job)
        connection.execute(sql("jobs/save_jobs_replace"), (job_id, job.payload, encode_options(options), expires_at))
        new_due_at = None if state == new_state == _WAITING else due_at
        group_id = None if options.group is None else options.group.id
        place = new_state, options.priority, new_due_at, options.lifo, expires_at, group_id
        connection.execute(sql("jobs/save_jobs_replace_live"), (job_id, *place))
    else:
        connection.execute(sql("jobs/save_jobs_put_off"), (job_id, new_state, due_at))
    kind = NotificationKind.DELAYED if new_state == _DELAYED else NotificationKind.ADDED
    transaction.hint(kind, job.queue_name)


def _remember(transaction: Transaction, digest: str, receipt: AddReceipt) -> AddReceipt:
    connection, now = transaction.connection, transaction.now
    forget_at = micros_after(now, ANSWERS_REMEMBERED)
    row = (digest, receipt.job_id, receipt.outcome.value, forget_at)
    connection.execute(sql("jobs/save_jobs_remember"), row)
    return receipt


def _named_key(job: NewJob, asked: Deduplication) -> tuple[str, str, str]:
    return job.queue_name, job.name, asked.key or ""


def _until(transaction: Transaction, asked: Deduplication) -> int | None:
    return None if asked.ttl is None else micros_after(transaction.now, asked.ttl)


def _digest(job: NewJob) -> str:
    return add_digest(job).hex()
