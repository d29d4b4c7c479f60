"""Inspecting: what can be told of jobs, and two changes that are made from outside.

JetStream finds messages by their subjects alone: a job is found at once by its id, and otherwise by looking at all. It
lives in the bridge's thread.
"""

from __future__ import annotations

import asyncio
from operator import gt, lt
from typing import TYPE_CHECKING, Final

import nats.js.errors
from attrs import evolve

from conveyor.errors import InvalidJobStateError, JobNotFoundError
from conveyor.model.job import ErrorInfo
from conveyor.model.queries import Page, matches
from conveyor.model.states import SETTLED_STATES, Command, JobState
from conveyor_plugin_nats.broker_errors import broker_errors
from conveyor_plugin_nats.connection import StaleWriteError
from conveyor_plugin_nats.messages import JOB, Record, job_of, record_of, ttl
from conveyor_plugin_nats.naming import Kind, consumer_name, word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.job import JobData
    from conveyor.model.queries import JobFilter
    from conveyor_plugin_nats.connection import Connection, Kept

__all__ = ["cancel_job", "find_job", "find_jobs", "remove_settled", "search_jobs"]

# How many jobs are looked for at the same time.
MOST_AT_ONCE: Final = 256
# A cancel meets a run that writes: it looks again, and finds the job in another state.
MOST_TRIES: Final = 10
NOT_KEPT: Final = b"null"
_ENDED: Final = (Kind.DONE, Kind.DEAD)


async def find_job(connection: Connection, job_id: str) -> JobData | None:
    """Return a job as the latest of its messages tells it, or None."""
    return await _find_word(connection, word(job_id))


async def find_jobs(connection: Connection, job_ids: Sequence[str]) -> Sequence[JobData]:
    """Return the jobs of these ids, in their order, without those that are not there."""
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def find(job_id: str) -> JobData | None:
        async with room:
            return await find_job(connection, job_id)

    found = await asyncio.gather(*map(find, job_ids))
    return [job for job in found if job is not None]


async def _job(connection: Connection, kept: Kept) -> JobData:
    record = record_of(kept.headers)
    if record is None:
        state = JobState.DELAYED if kept.kind is Kind.LATER else await _state_before_records(connection, kept)
        return job_of(kept.headers, kept.body, state)
    job = job_of(kept.headers, await _payload(connection, kept), record.state)
    job.attempts_made = record.attempts_made
    job.error = record.error
    if record.due_at is not None:
        job.run_at = record.due_at
    if record.state in SETTLED_STATES:
        job.finished_at = record.at
    elif record.state is JobState.ACTIVE:
        job.started_at = record.at
    if record.state is JobState.COMPLETED:
        job.result = kept.body or None
    return job


async def _state_before_records(connection: Connection, kept: Kept) -> JobState:
    """Return whether a job has been delivered: a consumer's first deliveries go by sequence."""
    queue_name = job_of(kept.headers, b"", JobState.WAITING).queue_name
    with broker_errors(connection.options.shown):
        try:
            info = await connection.jetstream.consumer_info(connection.options.stream, consumer_name(queue_name))
        except nats.js.errors.NotFoundError:
            return JobState.WAITING
    delivered = 0 if info.delivered is None else info.delivered.stream_seq
    return JobState.ACTIVE if kept.sequence <= delivered else JobState.WAITING


async def _payload(connection: Connection, kept: Kept) -> bytes:
    """Return the arguments; null for those of a job that completed or was cancelled, which are not kept."""
    if kept.kind is not Kind.RUN:
        return kept.body if kept.kind is Kind.DEAD else NOT_KEPT
    job = job_of(kept.headers, b"", JobState.WAITING)
    found = await connection.get(Kind.JOB, job.queue_name, job.id)
    return NOT_KEPT if found is None else found.body


async def cancel_job(connection: Connection, job_id: str, reason: str, now: datetime) -> JobData:
    """End a job as cancelled: its message goes, and what a run of it writes later is refused.

    Raises:
        JobNotFoundError: there is none.
        InvalidJobStateError: it has ended.
    """
    for _ in range(MOST_TRIES):
        kept = await connection.latest(job_id)
        if kept is None:
            break
        job = await _job(connection, kept)
        if job.state in SETTLED_STATES:
            raise InvalidJobStateError(job_id, job.state, Command.CANCEL, (), job.queue_name)
        known = record_of(kept.headers) or Record(job.state)
        end = evolve(known, state=JobState.CANCELLED, at=now, due_at=None, error=ErrorInfo("Cancelled", reason))
        headers = {**end.headers(kept.headers[JOB]), **ttl(connection.options.keep_completed)}
        try:
            await connection.write(Kind.DONE, job.queue_name, job_id, headers, b"", after=kept.sequence)
        except StaleWriteError:
            continue
        for kind in (Kind.LATER, Kind.RUN, Kind.JOB):
            await connection.purge(kind, job.queue_name, job_id)
        job.state, job.error, job.finished_at = JobState.CANCELLED, end.error, now
        return job
    raise JobNotFoundError(job_id)


async def search_jobs(
    connection: Connection, wanted: JobFilter, cursor: str | None, limit: int, *, now: datetime, oldest_first: bool
) -> Page:
    """Return jobs that match, newest or oldest ids first, of those whose ids come after the cursor.

    JetStream can tell which subjects there are, and no more: every job is looked at until enough are found.
    """
    words = await _words(connection, [*Kind], wanted.queue_names)
    is_after = gt if oldest_first else lt
    rest = sorted((one for one in words if cursor is None or is_after(one, cursor)), reverse=not oldest_first)
    found: list[JobData] = []
    for start in range(0, len(rest), MOST_AT_ONCE):
        chunk = rest[start : start + MOST_AT_ONCE]
        for one, job in zip(chunk, await asyncio.gather(*(_find_word(connection, one) for one in chunk)), strict=True):
            if job is not None and matches(job, wanted):
                found.append(job)
            if len(found) == limit:
                return Page(found, one, now)
    return Page(found, None, now)


async def remove_settled(connection: Connection, queue_names: Sequence[str], ended_before: datetime | None) -> int:
    """Remove what is kept of jobs that ended, of some queues or of all; return of how many.

    Args:
        connection: the connection.
        queue_names: of these queues; none means all.
        ended_before: of those that ended before this; None: of all that ended.
    """
    if ended_before is None:
        patterns = _patterns(connection, _ENDED, queue_names)
        return sum([await connection.purge_all(pattern) for pattern in patterns])
    count = 0
    for one in await _words(connection, _ENDED, queue_names):
        job = await _find_word(connection, one)
        if job is not None and job.finished_at is not None and job.finished_at < ended_before:
            count += bool(sum([await connection.purge(kind, job.queue_name, job.id) for kind in _ENDED]))
    return count


def _patterns(connection: Connection, kinds: Sequence[Kind], queue_names: Sequence[str]) -> list[str]:
    queues = [word(name) for name in queue_names] or ["*"]
    return [f"{connection.options.stream}.{kind}.{queue}.*" for kind in kinds for queue in queues]


async def _words(connection: Connection, kinds: Sequence[Kind], queue_names: Sequence[str]) -> set[str]:
    """Return the ids, as subjects have them, of what there is of these kinds and queues."""
    words: set[str] = set()
    for pattern in _patterns(connection, kinds, queue_names):
        words.update(name.rpartition(".")[2] for name in await connection.subjects(pattern))
    return words


async def _find_word(connection: Connection, one: str) -> JobData | None:
    kept = await connection.latest_of_word(one)
    return None if kept is None or JOB not in kept.headers else await _job(connection, kept)
