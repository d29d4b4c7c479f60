"""Deduplication in SQLite: keys, the jobs that hold them, and the adds that were answered without a job."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from attrs import evolve

from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.reading import look_for_job
from conveyor._builtin.sqlite.rows import due_micros, expiry_micros, from_micros, micros_after
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_options, encode_options
from conveyor.errors import ConveyorInternalError
from conveyor.model.deduplication import ANSWERS_REMEMBERED
from conveyor.model.events import NotificationKind
from conveyor.model.job import JobData
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from conveyor._builtin.sqlite.rows import JobRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.deduplication import Deduplication
    from conveyor.model.job import NewJob

__all__ = [
    "HOLDER",
    "IS_FOR_A_TIME",
    "OPTIONS",
    "STATE",
    "STATES",
    "Add",
    "Change",
    "Named",
    "asked_of",
    "change_holder",
    "due_state",
    "find_answer",
    "find_by_key",
    "forget_old_keys",
    "look_for_ids",
    "look_for_keys",
    "remember_answers",
    "take_keys",
    "untouched_jobs",
]

# A queue and a job's name: to both of them a key belongs.
Named: TypeAlias = "tuple[str, str]"
# The id of a job that was to be added, and the digest of its add.
Add: TypeAlias = "tuple[str, str]"

# Each add clears away twice as much as it leaves.
_FORGOTTEN_PER_ADD: Final = 2
STATES: Final = {state.value: state for state in JobState}
# Where they stand in a row of save_jobs_met_keys: the holder's options and state, the key, the holder, and whether it
# took the key for a time.
OPTIONS: Final = 1
STATE: Final = 2
_KEY: Final = 8
HOLDER: Final = 9
IS_FOR_A_TIME: Final = 10


class Change(NamedTuple):
    """What an add does to the job that holds its key and is in this state: gives it all it has, or puts it off.

    flow_id: the flow of the holder, in which it stays: its children are still its own.
    """

    holder: str
    job: NewJob
    state: JobState
    is_replaced: bool
    flow_id: str | None


def look_for_ids(transaction: Transaction, jobs: Sequence[NewJob]) -> tuple[set[str], set[str]]:
    """Return those of these jobs' ids that a job has, and those of which an add was answered that left no job."""
    ids = as_json([job.id for job in jobs])
    rows = transaction.connection.execute(sql("jobs/save_jobs_met_ids"), (ids, transaction.now)).fetchall()
    return {job_id for job_id, is_known in rows if is_known}, {job_id for job_id, is_known in rows if not is_known}


def look_for_keys(transaction: Transaction, jobs: Sequence[NewJob]) -> dict[Named, dict[str, JobRow]]:
    """Return those of these jobs' keys that somebody took, as rows of save_jobs_met_keys."""
    keys: defaultdict[Named, dict[str, None]] = defaultdict(dict)
    for job in jobs:
        keys[job.queue_name, job.name][asked_of(job)[1]] = None
    held: dict[Named, dict[str, JobRow]] = {}
    for named, wanted in keys.items():
        values = (as_json([*wanted]), *named, transaction.now)
        rows = transaction.connection.execute(sql("jobs/save_jobs_met_keys"), values).fetchall()
        held[named] = {row[_KEY]: row for row in rows}
    return held


def untouched_jobs(named: Named, rows: Iterable[JobRow]) -> Iterator[JobData]:
    """Return the jobs of those of these rows of save_jobs_met_keys that are untouched."""
    queue_name, name = named
    # Keys that are met together were often taken together, and a datetime costs more than the rest of its job.
    created_micros: int | None = None
    created_at: datetime | None = None
    for payload, options, state, priority, created, due, expires, is_untouched, _, job_id, _ in rows:
        if not is_untouched:
            continue
        if created_at is None or created != created_micros:
            created_micros, created_at = created, from_micros(created)
        yield JobData(
            job_id,
            queue_name,
            name,
            payload,
            decode_options(options),
            STATES[state],
            priority,
            0,
            0,
            created_at,
            created_at if due == created else from_micros(due),
            expires_at=None if expires is None else from_micros(expires),
        )


def take_keys(transaction: Transaction, named: Named, taken: Mapping[str, tuple[str, int | None]]) -> None:
    """Give keys to jobs, each until when it says."""
    by_end: defaultdict[int | None, dict[str, str]] = defaultdict(dict)
    for key, (job_id, until) in taken.items():
        by_end[until][key] = job_id
    for until, job_ids in by_end.items():
        transaction.connection.execute(sql("jobs/save_jobs_take_keys"), (as_json(job_ids), *named, until))


def find_answer(transaction: Transaction, job_id: str, digest: str) -> AddReceipt | None:
    """Return what an add was answered that left no job."""
    row = transaction.connection.execute(sql("jobs/save_jobs_answer"), (job_id, digest, transaction.now)).fetchone()
    return None if row is None else AddReceipt(row[0], Added(row[1]))


def remember_answers(transaction: Transaction, answers: Mapping[Add, AddReceipt]) -> None:
    """Remember for a while what adds were answered that left no job, and clear away what was remembered long ago."""
    if not answers:
        return
    # Objects of strings, for SQLite reads them at a third of the price of rows. None may have one id twice.
    alike: defaultdict[Added, dict[str, str]] = defaultdict(dict)
    rest: dict[Add, AddReceipt] = {}
    for add, receipt in answers.items():
        add_id, digest = add
        rows = alike[receipt.outcome]
        if add_id in rows:
            rest[add] = receipt
        else:
            rows[add_id] = digest + receipt.job_id
    now, connection = transaction.now, transaction.connection
    until = micros_after(now, ANSWERS_REMEMBERED)
    for outcome, rows in alike.items():
        connection.execute(sql("jobs/save_jobs_remember"), (as_json(rows), outcome.value, until))
    connection.execute(sql("jobs/save_jobs_forget_adds"), (now, _FORGOTTEN_PER_ADD * len(answers), until))
    remember_answers(transaction, rest)


def forget_old_keys(transaction: Transaction, jobs: Sequence[NewJob]) -> None:
    """Clear away some keys whose time is over, where one of these jobs took one for a time."""
    if any(job.deduplication is not None and job.deduplication.ttl is not None for job in jobs):
        old = (transaction.now, _FORGOTTEN_PER_ADD * len(jobs))
        transaction.connection.execute(sql("jobs/save_jobs_forget_keys"), old)


def change_holder(transaction: Transaction, change: Change) -> None:
    """Do to the job that holds a key what the add means."""
    connection, now, job = transaction.connection, transaction.now, change.job
    due_at, state = due_micros(now, job), due_state(now, job)
    if change.is_replaced:
        options, expires_at = job.options, expiry_micros(now, job)
        if change.flow_id is not None:
            options = evolve(options, flow_id=change.flow_id)
        row = (change.holder, job.payload, encode_options(options), expires_at)
        connection.execute(sql("jobs/save_jobs_replace"), row)
        new_due_at = None if change.state is state is JobState.WAITING else due_at
        group_id = None if options.group is None else options.group.id
        place = state.value, options.priority, new_due_at, options.lifo, expires_at, group_id
        connection.execute(sql("jobs/save_jobs_replace_live"), (change.holder, *place))
    else:
        connection.execute(sql("jobs/save_jobs_put_off"), (change.holder, state.value, due_at))
    kind = NotificationKind.DELAYED if state is JobState.DELAYED else NotificationKind.ADDED
    transaction.hint(kind, job.queue_name)


def find_by_key(connection: sqlite3.Connection, now: int, *key: str) -> JobData | None:
    """Return the live job that has a key."""
    row = connection.execute(sql("jobs/find_by_deduplication_key"), (*key, now)).fetchone()
    return None if row is None else look_for_job(connection, row[0])


def asked_of(job: NewJob) -> tuple[Deduplication, str]:
    """Return what a job asks that has a key, and the key."""
    asked = job.deduplication
    if asked is None or asked.key is None:
        raise ConveyorInternalError(f"job {job.id!r} has no deduplication key")
    return asked, asked.key


def due_state(now: int, job: NewJob) -> JobState:
    """Return whether a new job waits at once or is delayed."""
    return JobState.DELAYED if due_micros(now, job) > now else JobState.WAITING
