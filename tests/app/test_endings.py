"""Waiting for a job that leaves no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor, JobState
from conveyor.errors import JobFailedError, JobNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_the_result_of_a_job_that_leaves_no_record_reaches_who_waits(app: Conveyor) -> None:
    @app.queue("work").job(remove_on_complete=True)
    async def double(number: int) -> int:
        return 2 * number

    async with app, app.worker():
        job = await double.add(21)
        assert await job.result(timeout="10s") == 42
        assert (job.state, job.data.finished_at is not None) == (JobState.COMPLETED, True)
        with pytest.raises(JobNotFoundError):
            await job.refresh()


async def test_why_a_job_failed_that_leaves_no_record_reaches_who_waits(app: Conveyor) -> None:
    @app.queue("work").job(remove_on_fail=True)
    async def fail() -> None:
        raise ValueError("no such order")

    async with app, app.worker():
        job = await fail.add()
        with pytest.raises(JobFailedError, match="no such order"):
            await job.result(timeout="10s")


async def test_who_waits_in_another_program_learns_it_too(tmp_path: Path) -> None:
    producer, workers = (Conveyor(f"sqlite:///{tmp_path / 'jobs.db'}") for _ in range(2))

    @workers.queue("work").job()
    async def greet(name: str) -> str:
        return f"hello {name}"

    async with producer, workers:
        job = await producer.queue("work").add("greet", {"name": "ada"}, remove_on_complete=True)
        async with workers.worker():
            assert await job.result(timeout="10s") == "hello ada"


async def test_a_job_that_somebody_removed_is_not_found(app: Conveyor) -> None:
    async with app:
        job = await app.queue("work").add("greet", {})
        await job.remove()
        with pytest.raises(JobNotFoundError):
            await job.result(timeout="10s")
