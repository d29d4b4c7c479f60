"""Jobs that go to SQLite together: each keeps what is its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conveyor._builtin.sqlite.inserting import LARGEST_PAYLOAD
from conveyor.model.job import AttemptOutcome, ErrorInfo, NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Added, Want
from conveyor.model.settlement import Settlement, settle_completed
from conveyor.model.states import Command
from tests.sqlite.jobs import LOCK, SESSION, open_session

if TYPE_CHECKING:
    from conveyor._builtin.sqlite.store import SQLiteStore
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio

MANY = 1200


def mixed_jobs() -> list[NewJob]:
    """Return jobs of two names with small, large and odd payloads, of which some share all but that."""
    payloads = [b"{}", b'"\xc3\xa9 \\u0000"', b'"' + b"x" * 5000 + b'"', b"[" * 50 + b"]" * 50]
    lifo = JobOptions(lifo=True, priority=-3)
    return [
        NewJob(
            f"job-{number}",
            "mail",
            "send" if number % 3 else 'se"nd\\é',
            payloads[number % 4],
            JobOptions() if number % 7 else lifo,
            delay=timedelta(hours=1) if number % 5 == 0 else None,
        )
        for number in range(MANY)
    ]


def ending(job: JobData, number: int) -> Settlement:
    """Return how a run ended: with a result, an error, or neither."""
    assert job.token is not None
    if number % 3 == 0:
        return settle_completed(job, None)
    if number % 3 == 1:
        return settle_completed(job, f'"result of {job.id} é"'.encode())
    error = ErrorInfo("ValueError", f"error of {job.id}")
    return Settlement(job.id, job.queue_name, job.token, Command.FAIL, AttemptOutcome.FAILED, error=error)


async def test_jobs_added_together_keep_their_own(store: SQLiteStore) -> None:
    jobs = mixed_jobs()
    receipts = await store.jobs.save_jobs(jobs)
    assert [receipt.job_id for receipt in receipts] == [job.id for job in jobs]
    found = await store.jobs.find_jobs([job.id for job in jobs])
    for job in jobs:
        data = found[job.id]
        assert (data.name, data.payload, data.options, data.priority) == (
            job.name,
            job.payload,
            job.options,
            job.options.priority,
        )
        assert data.run_at - data.created_at == (job.delay or timedelta())


async def test_of_one_id_twice_in_a_bulk_the_first_is_added(store: SQLiteStore) -> None:
    alike = [NewJob(f"job-{number}", "mail", "send", b"{}", JobOptions()) for number in range(6)]
    first, second = (NewJob("twice", "mail", name, b"{}", JobOptions()) for name in ("rare", "send"))
    receipts = await store.jobs.save_jobs([first, *alike, second])
    assert [receipt.outcome for receipt in receipts] == [Added.ADDED] * 7 + [Added.DUPLICATE]
    job = await store.jobs.find_job("twice")
    assert job is not None
    assert job.name == "rare"


async def test_jobs_buffered_together_keep_their_own(store: SQLiteStore) -> None:
    largest = [
        NewJob(f'"large\\é {n}"', "mail", "send", str(n).encode().rjust(LARGEST_PAYLOAD), JobOptions())
        for n in range(MANY)
    ]
    jobs = [*mixed_jobs(), *largest]
    receipts = await store.buffers.add("b", jobs)
    assert [(one.job_id, one.outcome) for one in receipts] == [(job.id, Added.BUFFERED) for job in jobs]
    kept = await store.buffers.take("b", "token", LOCK, limit=len(jobs))
    assert [(one.job.id, one.job.name, one.job.payload, one.job.options) for one in kept] == [
        (job.id, job.name, job.payload, job.options) for job in jobs
    ]


async def test_runs_settled_together_keep_their_results_and_errors(store: SQLiteStore) -> None:
    await store.jobs.save_jobs([NewJob(f"job-{n}", "mail", "send", b"{}", JobOptions()) for n in range(MANY)])
    await open_session(store)
    held = await store.jobs.fetch_jobs([Want("mail", MANY)], SESSION, LOCK, fetch_number=1)
    ends = [ending(job, number) for number, job in enumerate(held)]
    assert not (await store.jobs.settle_jobs(ends)).refused
    found = await store.jobs.find_jobs([job.id for job in held])
    assert [(found[end.job_id].result, found[end.job_id].error) for end in ends] == [
        (end.result, end.error) for end in ends
    ]
