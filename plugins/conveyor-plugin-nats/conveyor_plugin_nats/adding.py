"""Adding: a job becomes a message of the stream, now or at its time; lives in the bridge's thread."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from conveyor.errors import StoreUnavailableError
from conveyor.model.queries import Added, AddReceipt
from conveyor_plugin_nats.connection import StaleWriteError
from conveyor_plugin_nats.messages import JOB, digest_of, job_header, same_add
from conveyor_plugin_nats.naming import Kind, subject, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import NewJob
    from conveyor_plugin_nats.connection import Connection
    from conveyor_plugin_nats.messages import Headers

__all__ = ["add_jobs", "check_jobs"]

# Enough to keep the server busy, and less than it refuses.
MOST_AT_ONCE: Final = 256


async def add_jobs(connection: Connection, jobs: Sequence[NewJob], now: datetime) -> Sequence[AddReceipt]:
    """Add jobs, and return what became of each, in the order given; `now` is when delays begin.

    Raises:
        PayloadError: one is too large; none was added.
        StoreUnavailableError: which were added is not known; to add all of them again is safe.
    """
    messages = [(job, *_message(connection, job, now)) for job in jobs]
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def add(job: NewJob, kind: Kind, headers: Headers) -> AddReceipt:
        async with room:
            return await _add(connection, job, kind, headers)

    if len(messages) == 1:
        return [await _add(connection, *messages[0])]
    answers = await asyncio.gather(*(add(*message) for message in messages), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, AddReceipt)]


async def check_jobs(connection: Connection, jobs: Sequence[NewJob], now: datetime) -> None:
    """Raise PayloadError for the first job that is too large; add nothing."""
    for job in jobs:
        _message(connection, job, now)


def _message(connection: Connection, job: NewJob, now: datetime) -> tuple[Kind, Headers]:
    run_at = job.run_at or now + (job.delay or timedelta(0))
    expires_at = now + job.expires if isinstance(job.expires, timedelta) else job.expires
    headers = {JOB: job_header(job, now, run_at, expires_at), "Nats-Msg-Id": f"{word(job.id)}.{same_add(job)}"}
    kind = Kind.JOB
    if run_at > now:
        kind = Kind.LATER
        headers["Nats-Schedule"] = f"@at {run_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        headers["Nats-Schedule-Target"] = subject(connection.options.stream, Kind.JOB, job.queue_name, job.id)
    connection.check_size(headers, job.payload, "arguments", job.id, name=job.name)
    return kind, headers


async def _add(connection: Connection, job: NewJob, kind: Kind, headers: Headers) -> AddReceipt:
    for _ in range(2):
        try:
            # Known already, with nothing left of it: the same add, repeated within the stream's duplicate window.
            await connection.write(kind, job.queue_name, job.id, headers, job.payload, after=0)
        except StaleWriteError:
            known = await connection.latest(job.id)
            if known is not None:
                is_same = digest_of(known.headers) == same_add(job)
                return AddReceipt(job.id, Added.ADDED if is_same else Added.DUPLICATE)
        else:
            return AddReceipt(job.id)
    raise StoreUnavailableError(f"what NATS keeps of job {job.id!r} comes and goes; add it again")
