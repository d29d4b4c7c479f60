"""What can be done with a job once it was added."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor._services import buffered_jobs
from conveyor._services.buffered_jobs import FoundJob, find_elsewhere, read_following, refuse_buffered, unbuffered
from conveyor._services.buffers import find_places
from conveyor._services.sealing import sealed_arguments
from conveyor.errors import CapabilityError, ConfigurationError, JobFailedError, JobNotFoundError
from conveyor.model.checks import aware, check_integer, check_page, could_be_id
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.error_groups import ErrorGroupFilter
from conveyor.model.job import Ending, LogEntry, log_line
from conveyor.model.queries import check_filter
from conveyor.model.retention import LOG_LINES_KEPT, TRIM_EVERY
from conveyor.model.settlement import RefusalReason
from conveyor.model.states import JobState
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._services.services import Services
    from conveyor.model.error_groups import ErrorGroupPage
    from conveyor.model.job import Attempt, JobData
    from conveyor.model.locks import LockToken
    from conveyor.model.queries import JobFilter, Page

__all__ = [
    "cancel",
    "change_delay",
    "change_priority",
    "clear_logs",
    "count",
    "discard",
    "error_groups",
    "find",
    "get",
    "get_attempts",
    "get_logs",
    "log",
    "look",
    "move_to_delayed",
    "move_to_failed",
    "promote",
    "raise_unless_completed",
    "remove",
    "rerun",
    "update_data",
    "wait",
]

# What a store may have of a job at most: see the caps.
MOST_LOG_LINES: Final = LOG_LINES_KEPT + TRIM_EVERY


async def get(services: Services, job_id: str, queue_name: str | None = None) -> FoundJob:
    """Return a job by its id; of one that a buffer merged into another, that one.

    Raises:
        JobNotFoundError: there is none (in this queue, if one is named).
    """
    if not could_be_id(job_id, "job_id"):
        raise JobNotFoundError(job_id, queue_name or "")
    job = await _find(services, job_id, queue_name)
    found = await find_elsewhere(services, job_id) if job is None else FoundJob(job)
    if found is None or queue_name not in {None, found.data.queue_name}:
        raise JobNotFoundError(job_id, queue_name or "")
    return found


async def find(
    services: Services, wanted: JobFilter, cursor: str | None, limit: int, *, oldest_first: bool = False
) -> Page:
    """Return the jobs that match, newest or oldest first, a page at a time.

    Raises:
        ConfigurationError: the filter, the cursor or the limit is none.
    """
    check_filter(wanted)
    check_page(cursor, limit)
    inspection = services.inspection("finding jobs", is_grouping=bool(wanted.error_group))
    return await inspection.search_jobs(wanted, cursor=cursor, limit=limit, oldest_first=oldest_first)


async def count(services: Services, wanted: JobFilter) -> int:
    """Return how many jobs match."""
    check_filter(wanted)
    return await services.inspection("counting jobs", is_grouping=bool(wanted.error_group)).count_matching(wanted)


async def error_groups(services: Services, wanted: ErrorGroupFilter, cursor: str | None, limit: int) -> ErrorGroupPage:
    """Return the failed jobs in groups of those that failed alike, a page at a time.

    Raises:
        ConfigurationError: the filter, the cursor or the limit is none.
    """
    if not isinstance(wanted, ErrorGroupFilter):
        raise ConfigurationError(f"which groups are meant is said by an ErrorGroupFilter(...), got {wanted!r}")
    check_page(cursor, limit)
    groups = services.inspection("app.jobs.error_groups", is_grouping=True)
    return await groups.list_error_groups(wanted, cursor=cursor, limit=limit)


async def wait(services: Services, known: JobData) -> JobData:
    """Return the job once it has settled: of one that left no record, what was known of it, and how it ended.

    Raises:
        JobNotFoundError: there is none, or somebody removed it.
    """
    end = await services.waiters.wait(known.id)
    return _ended(known, end) if isinstance(end, Ending) else end


async def look(services: Services, known: JobData) -> FoundJob:
    """Return the job as it stands: of one that left no record, what was known of it, and how it ended.

    Of one that was merged, the job that does its work.

    Raises:
        JobNotFoundError: there is none, or somebody removed it.
    """
    job = await _find(services, known.id)
    if job is not None:
        return FoundJob(job)
    ending = (await services.store.jobs.find_endings([known.id])).get(known.id)
    if ending is not None:
        return FoundJob(_ended(known, ending))
    place = (await find_places(services, [known.id])).get(known.id)
    if place is not None and place.merged_into is not None:
        return await look(services, evolve(known, id=place.merged_into))
    found = await find_elsewhere(services, known.id)
    if found is None:
        raise JobNotFoundError(known.id, known.queue_name)
    return found


async def _find(services: Services, job_id: str, queue_name: str | None = None) -> JobData | None:
    """Return a job of the queues (of this queue, if one is named), or None."""
    jobs = services.store.jobs
    # A job queue that cannot be asked: the job may be in a buffer, and where it is not, it is asked once more.
    with suppress(CapabilityError):
        return await (jobs.find_job(job_id) if queue_name is None else jobs.get_job(queue_name, job_id))
    return None


def _ended(known: JobData, end: Ending) -> JobData:
    return evolve(known, state=end.state, finished_at=end.finished_at, result=end.result, error=end.error)


def raise_unless_completed(job: JobData) -> None:
    """Raise JobFailedError, with the reason, for a settled job that did not complete."""
    if job.state is JobState.COMPLETED:
        return
    error = job.error
    raise JobFailedError(
        job.id,
        job.state,
        str(error) if error is not None else "no reason was given",
        queue_name=job.queue_name,
        traceback=error.traceback if error is not None else "",
    )


async def cancel(services: Services, job_id: str, reason: str) -> JobData:
    """End the job as cancelled, be it in a buffer still; a running handler is cancelled too."""
    return await buffered_jobs.cancel(services, job_id, clean_text(reason))


async def promote(services: Services, job_id: str) -> JobData:
    """Run a delayed job now."""
    return await unbuffered(services, job_id, services.store.jobs.promote_job(job_id))


async def rerun(services: Services, job_id: str, payload: bytes | None) -> JobData:
    """Run a settled job again; new data must fit its handler, where this program has it."""
    if payload is not None:
        payload = await _checked_data(services, job_id, payload)
    return await unbuffered(services, job_id, services.store.jobs.rerun_job(job_id, payload))


async def _checked_data(services: Services, job_id: str, payload: bytes) -> bytes:
    """Return new data of a job as it is kept, once it was seen to fit."""
    job = (await get(services, job_id)).data
    handler = services.handlers.find(job.queue_name, job.name)
    if handler is not None:
        handler.arguments.check(payload, job.options.version)
    return sealed_arguments(services.payload_codec, payload, job)


async def update_data(services: Services, job_id: str, payload: bytes) -> JobData:
    """Give a live job other data, which must fit its handler, where this program has it."""
    return await unbuffered(
        services, job_id, services.store.jobs.update_data(job_id, await _checked_data(services, job_id, payload))
    )


async def change_delay(services: Services, job_id: str, delay: Duration) -> JobData:
    """Let a delayed job be due so long from now."""
    return await unbuffered(
        services, job_id, services.store.jobs.change_delay(job_id, parse_duration(delay, field="delay"))
    )


async def change_priority(services: Services, job_id: str, priority: int) -> JobData:
    """Give a job that is not running another priority."""
    return await unbuffered(
        services, job_id, services.store.jobs.change_priority(job_id, check_integer(priority, "priority"))
    )


async def move_to_delayed(services: Services, job_id: str, at: datetime) -> JobData:
    """Put a job off until a time; a run of it ends by that."""
    return await unbuffered(services, job_id, services.store.jobs.move_to_delayed(job_id, aware(at, "at")))


async def move_to_failed(services: Services, job_id: str, reason: str) -> JobData:
    """End a live job as failed; a running handler is cancelled."""
    return await unbuffered(services, job_id, services.store.jobs.move_to_failed(job_id, clean_text(reason)))


async def discard(services: Services, job_id: str) -> JobData:
    """Let a live job have no further attempt."""
    return await unbuffered(services, job_id, services.store.jobs.discard(job_id))


async def remove(services: Services, job_id: str) -> None:
    """Delete a job that is not running, with its history, be it in a buffer still."""
    await buffered_jobs.remove(services, job_id)


async def log(services: Services, job_id: str, message: str) -> None:
    """Keep a line with the job, from outside of its runs."""
    refused = await services.store.jobs.append_logs([LogEntry(job_id, log_line(message))])
    if any(refusal.reason is RefusalReason.NOT_FOUND for refusal in refused):
        await refuse_buffered(services, job_id)
        raise JobNotFoundError(job_id)


async def get_logs(services: Services, job_id: str, start: int, end: int) -> Sequence[LogEntry]:
    """Return the job's lines, oldest first."""

    async def read(of_id: str) -> Sequence[LogEntry]:
        return await services.store.jobs.get_logs(of_id, start=start, end=end)

    return await read_following(services, job_id, read)


async def clear_logs(services: Services, job_id: str) -> int:
    """Delete the job's lines."""
    count = await services.store.jobs.clear_logs(job_id)
    if not count:
        await refuse_buffered(services, job_id)
    return count


async def get_attempts(services: Services, job_id: str) -> Sequence[Attempt]:
    """Return the job's runs that ended, oldest first, each with its lines."""
    attempts = await read_following(services, job_id, services.store.jobs.get_attempts)
    if not attempts:
        return attempts
    lines: defaultdict[LockToken, list[LogEntry]] = defaultdict(list)
    for line in await get_logs(services, job_id, 0, MOST_LOG_LINES):
        if line.lock is not None:
            lines[line.lock.token].append(line)
    return [evolve(attempt, logs=tuple(lines[attempt.token])) for attempt in attempts]
