"""Deduplication in the memory store: keys, the jobs that hold them, and the adds that were answered without a job."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

from attrs import define, evolve

from conveyor._builtin.memory.records import due_at, expiry, later
from conveyor.model.deduplication import ANSWERS_REMEMBERED, OUTCOMES, DeduplicationMode, add_digest, is_held
from conveyor.model.events import NotificationKind
from conveyor.model.queries import AddReceipt
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.deduplication import Deduplication
    from conveyor.model.job import NewJob

__all__ = ["Answers", "Keys", "find_holder", "meet_key", "take_key"]

# A job's name and the key of its deduplication.
NamedKey: TypeAlias = "tuple[str, str]"


@define
class _Hold:
    job_id: str
    until: datetime | None


class Keys:
    """The keys of one queue. Whether one is held depends on the state of its job, so nothing is done as jobs settle."""

    def __init__(self) -> None:
        self._holds: dict[NamedKey, _Hold] = {}
        self._ends: list[tuple[datetime, NamedKey]] = []

    def find(self, key: NamedKey, now: datetime) -> _Hold | None:
        """Return who took the key last, unless the time is over for which it was taken."""
        hold = self._holds.get(key)
        return hold if hold is not None and (hold.until is None or now < hold.until) else None

    def take(self, key: NamedKey, job_id: str, ttl: timedelta | None, now: datetime) -> None:
        """Note that the job takes the key, for a time or until it is removed."""
        self._forget_over(now)
        until = None if ttl is None else later(now, ttl)
        self._holds[key] = _Hold(job_id, until)
        if until is not None:
            heappush(self._ends, (until, key))

    def forget_job(self, key: NamedKey, job_id: str) -> None:
        """Forget the key of a job that is removed, unless it was taken for a time, or by another job since."""
        hold = self._holds.get(key)
        if hold is not None and hold.job_id == job_id and hold.until is None:
            del self._holds[key]

    def _forget_over(self, now: datetime) -> None:
        while self._ends and self._ends[0][0] <= now:
            until, key = heappop(self._ends)
            hold = self._holds.get(key)
            if hold is not None and hold.until == until:
                del self._holds[key]


class Answers:
    """What adds were answered that left no job, for a while: so that the same add again is answered alike."""

    def __init__(self) -> None:
        # By the id of the job first: only of an add whose id was answered before need anybody know the digest.
        self._receipts: dict[str, dict[bytes, AddReceipt]] = {}
        self._order: deque[tuple[datetime, str]] = deque()

    def find(self, job: NewJob, now: datetime) -> AddReceipt | None:
        """Return what this add was answered before."""
        while self._order and self._order[0][0] <= now:
            self._forget(self._order.popleft()[1])
        answers = self._receipts.get(job.id)
        return None if answers is None else answers.get(add_digest(job))

    def remember(self, job: NewJob, receipt: AddReceipt, now: datetime) -> None:
        """Note what an add was answered."""
        self._receipts.setdefault(job.id, {})[add_digest(job)] = receipt
        self._order.append((now + ANSWERS_REMEMBERED, job.id))

    def _forget(self, job_id: str) -> None:
        answers = self._receipts[job_id]
        # Answers of one id are as old as their order in the dictionary.
        del answers[next(iter(answers))]
        if not answers:
            del self._receipts[job_id]


def meet_key(tables: Tables, job: NewJob, asked: Deduplication, now: datetime) -> AddReceipt | None:
    """Do what the mode says where another job holds the key of a new one; None: nobody does, and it is to be added."""
    answered = tables.answers.find(job, now)
    if answered is not None:
        return _with_job(tables, answered)
    hold = tables.queue(job.queue_name).keys.find((job.name, asked.key or ""), now)
    if hold is None:
        return None
    record = tables.jobs.get(hold.job_id)
    state = None if record is None else record.state
    if not is_held(asked, state, has_window=hold.until is not None):
        return None
    receipt = AddReceipt(hold.job_id, OUTCOMES[asked.mode])
    if record is not None and asked.mode is DeduplicationMode.REPLACE:
        _replace(tables, record, job, now)
    elif record is not None and asked.mode is DeduplicationMode.DEBOUNCE:
        _put_off(tables, record, due_at(job, now), now)
    tables.answers.remember(job, receipt, now)
    return _with_job(tables, receipt)


def find_holder(tables: Tables, queue_name: str, key: NamedKey) -> JobRecord | None:
    """Return the live job that took the key last, if its time is not over."""
    for queue in tables.existing([queue_name]):
        hold = queue.keys.find(key, tables.now())
        record = None if hold is None else tables.jobs.get(hold.job_id)
        return record if record is not None and not record.state.is_settled else None
    return None


def take_key(queue: QueueTable, record: JobRecord, asked: Deduplication, now: datetime) -> None:
    """Give the key to a job that was added just now."""
    record.key = (record.name, asked.key or "")
    queue.keys.take(record.key, record.id, asked.ttl, now)


def _with_job(tables: Tables, receipt: AddReceipt) -> AddReceipt:
    record = tables.jobs.get(receipt.job_id)
    # Another receipt than the one that is remembered, which need not keep a job.
    return AddReceipt(receipt.job_id, receipt.outcome, None if record is None else record.snapshot())


def _replace(tables: Tables, record: JobRecord, job: NewJob, now: datetime) -> None:
    record.payload = job.payload
    due = due_at(job, now)
    was_delayed = record.state is JobState.DELAYED
    record.queue.leave(record)
    # Its children are still its own.
    record.options = evolve(job.options, flow_id=record.options.flow_id)
    record.priority = job.options.priority
    record.expires_at = expiry(job, now)
    if due > now or was_delayed:
        _enter(tables, record, due, now)
    else:
        record.queue.enter(record, JobState.WAITING)  # at its old place


def _put_off(tables: Tables, record: JobRecord, due: datetime, now: datetime) -> None:
    record.queue.leave(record)
    _enter(tables, record, due, now)


def _enter(tables: Tables, record: JobRecord, due: datetime, now: datetime) -> None:
    state = JobState.DELAYED if due > now else JobState.WAITING
    record.queue.wait_from(record, due, state)
    hint = NotificationKind.DELAYED if state is JobState.DELAYED else NotificationKind.ADDED
    tables.notifier.tell(hint, (record.queue.name,))
