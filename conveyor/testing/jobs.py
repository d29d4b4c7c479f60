"""Jobs in tests: made without a store, and looked up to see what was added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import uuid_utils
from attrs import evolve

from conveyor._app import Conveyor
from conveyor.codec import decode_json, encode_json
from conveyor.model.job import JobData
from conveyor.model.locks import LockToken
from conveyor.model.options import JobOptions
from conveyor.model.queries import JobFilter
from conveyor.model.states import JobState
from conveyor.testing.clocks import DEFAULT_START

if TYPE_CHECKING:
    from conveyor._handles.queue import Queue

__all__ = ["added_jobs", "assert_added", "make_job"]

PAGE: Final = 1000


def make_job(name: str = "job", arguments: dict[str, Any] | None = None, /, **fields: Any) -> JobData:
    """Make a job as a handler, a middleware or a strategy would get it: fetched, in its first attempt.

    >>> make_job("send", {"to": "ada"}, attempts_made=2).payload
    b'{"to":"ada"}'

    Args:
        name: its name.
        arguments: what its handler gets.
        fields: any field of `JobData`, in place of the default.
    """
    job = JobData(
        id=str(uuid_utils.uuid7()),
        queue_name="queue",
        name=name,
        payload=encode_json(arguments or {}),
        options=JobOptions(),
        state=JobState.ACTIVE,
        priority=0,
        attempts_made=0,
        stalled_count=0,
        created_at=DEFAULT_START,
        run_at=DEFAULT_START,
        started_at=DEFAULT_START,
        token=LockToken("0" * 32, 1),
    )
    return evolve(job, **fields)


async def added_jobs(where: Conveyor | Queue, name: str | None = None) -> list[JobData]:
    """Return the jobs that were added to an open app, or to one queue, in order; of one name, if given.

    Jobs that were removed since, by hand or by ``remove_on_complete``, are not among them.
    """
    if isinstance(where, Conveyor):
        found = await _all_of_app(where, JobFilter(names=() if name is None else (name,)))
    else:
        found = [job for state in JobState for job in await _all_of_queue(where, state)]
    return sorted((job for job in found if name in (None, job.name)), key=lambda job: (job.created_at, job.id))


async def assert_added(where: Conveyor | Queue, name: str, /, **arguments: Any) -> JobData:
    """Return the last job of this name that was added with these arguments; others it has may be anything.

    Raises:
        AssertionError: there is none; the message lists what was added instead.
    """
    wanted = {key: decode_json(encode_json(value)) for key, value in arguments.items()}
    jobs = await added_jobs(where)
    for job in reversed(jobs):
        payload = decode_json(job.payload)
        if job.name == name and all(key in payload and payload[key] == value for key, value in wanted.items()):
            return job
    listed = "".join(f"\n  {job.queue_name}/{job.name} {job.payload.decode()}" for job in jobs) or " nothing"
    raise AssertionError(f"no job {name!r} was added with {wanted}; there is:{listed}")


async def _all_of_app(app: Conveyor, wanted: JobFilter) -> list[JobData]:
    jobs: list[JobData] = []
    page = await app.jobs.find(wanted, limit=PAGE)
    while True:
        jobs += [job.data for job in page.jobs]
        if page.next_cursor is None:
            return jobs
        page = await app.jobs.find(wanted, cursor=page.next_cursor, limit=PAGE)


async def _all_of_queue(queue: Queue, state: JobState) -> list[JobData]:
    jobs: list[JobData] = []
    while page := await queue.jobs(state, len(jobs), len(jobs) + PAGE):
        jobs += [job.data for job in page]
    return jobs
