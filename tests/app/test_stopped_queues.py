"""Stopping a queue: what was fetched and has not begun is handed back, and named."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor
from conveyor.model.outcomes import Completed

if TYPE_CHECKING:
    from conveyor.model.job import JobData
    from conveyor.model.outcomes import Outcome

pytestmark = pytest.mark.anyio


async def process(job: JobData, /) -> Outcome:
    return Completed(job.id)


async def test_a_stop_names_what_it_hands_back_and_lets_run_what_runs(store_url: str) -> None:
    app = Conveyor(store_url)
    runs: list[int] = []
    handed_back: list[str] = []
    stopped = anyio.Event()

    @app.queue("slow").job()
    async def note(number: int) -> None:
        runs.append(number)
        if not stopped.is_set():
            # At once, or what was fetched ahead would go back for its age.
            handed_back.extend(await queue.stop("slow", process))
            stopped.set()

    @app.queue("other").job()
    async def other() -> None: ...

    async with app:
        jobs = await note.add_many([note.new(number) for number in range(4)])
        queue = app._services.job_queue
        with anyio.fail_after(20):
            async with app.worker("slow", concurrency=1, prefetch=3):
                await stopped.wait()
            assert runs == [0]
            assert handed_back == [job.id for job in jobs[1:]]
            for job in jobs[1:]:
                assert (await job.refresh()).state == "waiting"
            async with app.worker("slow"):
                for job in jobs:
                    await job.wait_until_finished()
    assert sorted(runs) == [0, 1, 2, 3]
    assert {job.data.attempts_made for job in jobs} == {1}


async def test_a_worker_that_ends_logs_what_its_queues_handed_back(caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor("memory://")
    begun, go_on = anyio.Event(), anyio.Event()

    @app.queue("slow").job()
    async def wait() -> None:
        begun.set()
        await go_on.wait()

    caplog.set_level(logging.INFO, "conveyor.worker")
    async with app, anyio.create_task_group() as tasks:
        first, second = await wait.add_many([wait.new(), wait.new()])
        async with app.worker(concurrency=1, prefetch=1):
            await begun.wait()
            tasks.start_soon(_set_soon, go_on)
    said = [record.getMessage() for record in caplog.records if "handed back before" in record.getMessage()]
    assert said == [f"queue slow is stopped; handed back before they began: {second.id}"]
    assert first.id not in said[0]


async def _set_soon(event: anyio.Event) -> None:
    await anyio.wait_all_tasks_blocked()
    event.set()
