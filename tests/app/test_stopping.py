"""Jobs that are stopped: timeouts, cancels, shutdown, crashes, and stores that fail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobContext, JobState
from conveyor.errors import InvalidJobStateError, JobFailedError
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from tests.eventually import eventually

if TYPE_CHECKING:
    from conveyor import Job

pytestmark = pytest.mark.anyio


async def wait_for_state(job: Job[Any], state: JobState) -> None:
    """Look until a job is in a state."""

    async def is_there() -> bool:
        return (await job.refresh()).state is state

    await eventually(is_there)


async def test_a_timeout_cancels_the_handler_and_fails_the_attempt(app: Conveyor) -> None:
    ended: list[str] = []

    @app.queue("work").job(timeout="50ms", attempts=2)
    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with app, app.worker():
        job = await hang.add()
        with pytest.raises(JobFailedError, match="TimeoutError: the run took longer than"):
            await job.result(timeout="10s")
        assert ended == ["cancelled", "cancelled"]


async def test_a_timeout_does_not_hit_the_next_job(app: Conveyor) -> None:
    @app.queue("work").job(timeout="20ms")
    async def slow() -> None:
        await anyio.sleep_forever()

    @app.queue("work").job()
    async def quick(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return number

    async with app, app.worker(concurrency=1):
        for number in range(5):
            stuck = await slow.add()
            next_one = await quick.add(number)
            with pytest.raises(JobFailedError):
                await stuck.result(timeout="10s")
            assert await next_one.result(timeout="10s") == number


async def test_an_error_from_a_task_group_being_cancelled_leaves_the_worker_alive(app: Conveyor) -> None:
    async def complain_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("in the middle of being cancelled")

    @app.queue("work").job(timeout="20ms")
    async def messy() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(complain_when_cancelled)
            await anyio.sleep_forever()

    @app.queue("work").job()
    async def fine() -> str:
        return "fine"

    async with app, app.worker(concurrency=1):
        with pytest.raises(JobFailedError, match="TimeoutError"):
            await (await messy.add()).result(timeout="10s")
        assert await (await fine.add()).result(timeout="10s") == "fine"


async def test_cancelling_a_running_job_reaches_its_handler(app: Conveyor) -> None:
    started, ended = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def run_on() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with app, app.worker():
        job = await run_on.add()
        with anyio.fail_after(10):
            await started.wait()
            await job.cancel("no longer wanted")
            await ended.wait()
        assert job.state is JobState.CANCELLED
        with pytest.raises(JobFailedError, match="no longer wanted"):
            await job.result(timeout="10s")
        with pytest.raises(InvalidJobStateError, match="cancelled"):
            await job.cancel()


async def test_a_thread_handler_is_told_that_it_was_cancelled(app: Conveyor) -> None:
    noticed: list[bool] = []

    @app.queue("work").job()
    def spin(context: JobContext) -> None:
        context.log("spinning")
        while not context.cancelled:
            pass
        noticed.append(True)

    async with app, app.worker():
        job = await spin.add()
        await eventually(job.logs)
        await job.cancel()

        async def is_noticed() -> bool:
            return bool(noticed)

        await eventually(is_noticed)


async def test_cancelling_a_waiting_job_keeps_it_from_running(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def note() -> None:
        ran.append(1)

    async with app:
        job = await note.add()
        await job.cancel()
        after = await note.add()
        async with app.worker():
            await after.result(timeout="10s")
    assert ran == [1]


async def test_a_paused_queue_starts_nothing_until_resumed(app: Conveyor) -> None:
    queue = app.queue("work")

    @queue.job()
    async def note() -> str:
        return "ran"

    async with app, app.worker():
        await queue.pause()
        job = await note.add()
        said = f"job '{job.id}' \\(note\\) of queue 'work' has not ended within 0.05 s; it was waiting when"
        with pytest.raises(TimeoutError, match=said):
            await job.result(timeout="50ms")
        await queue.resume()
        assert await job.result(timeout="10s") == "ran"


async def test_leaving_the_worker_lets_running_jobs_end(app: Conveyor) -> None:
    started, go_on = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def finish() -> str:
        started.set()
        await go_on.wait()
        return "to the end"

    async with app:
        async with app.worker(), anyio.create_task_group() as tasks:
            job = await finish.add()
            await started.wait()
            tasks.start_soon(_set_soon, go_on)
        await job.refresh()
        assert job.state is JobState.COMPLETED


async def _set_soon(event: anyio.Event) -> None:
    await anyio.sleep(0.02)
    event.set()


async def test_what_does_not_end_within_the_grace_is_handed_back(app: Conveyor) -> None:
    started = anyio.Event()

    @app.queue("work").job()
    async def never() -> None:
        started.set()
        await anyio.sleep_forever()

    async with app:
        async with app.worker(shutdown_grace="20ms"):
            job = await never.add()
            await started.wait()
        await job.refresh()
        assert job.state is JobState.WAITING
        assert (job.data.attempts_made, job.data.stalled_count) == (0, 0)
        assert list(await job.attempts()) == []


async def test_an_error_in_the_program_hands_running_jobs_back_at_once(app: Conveyor) -> None:
    started = anyio.Event()

    @app.queue("work").job()
    async def never() -> None:
        started.set()
        await anyio.sleep_forever()

    async with app:
        job = await never.add()
        with pytest.raises(ZeroDivisionError):
            await _divide_once_started(app, started)
        assert (await job.refresh()).state is JobState.WAITING
        assert job.data.attempts_made == 0


async def _divide_once_started(app: Conveyor, started: anyio.Event) -> None:
    async with app.worker():
        await started.wait()
        _ = 1 / 0


async def test_cancelling_the_program_hands_running_jobs_back(app: Conveyor) -> None:
    started = anyio.Event()

    @app.queue("work").job()
    async def never() -> None:
        started.set()
        await anyio.sleep_forever()

    async with app:
        job = await never.add()
        with anyio.CancelScope() as scope:
            async with app.worker():
                await started.wait()
                scope.cancel()
        assert (await job.refresh()).state is JobState.WAITING


async def test_a_cancelled_program_gives_back_at_once_what_had_not_started(app: Conveyor) -> None:
    started, cleaned_up = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def tidy() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await cleaned_up.wait()

    async def work() -> None:
        with program:
            async with app.worker(concurrency=1, prefetch=1):
                await started.wait()
                program.cancel()

    program = anyio.CancelScope()
    async with app:
        first, second = await tidy.add_many([tidy.new(), tidy.new()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            try:
                await started.wait()  # one fetch brought both
                await wait_for_state(second, JobState.WAITING)
                assert (await first.refresh()).state is JobState.ACTIVE, "its handler still cleans up"
            finally:
                cleaned_up.set()
        assert (await first.refresh()).state is JobState.WAITING


async def test_the_jobs_of_a_dead_worker_are_recovered(app: Conveyor) -> None:
    @app.queue("work").job()
    async def survive() -> str:
        return "recovered"

    async with app:
        store = app._services.store
        job = await survive.add()
        brief = timedelta(milliseconds=1)
        await store.sessions.open(SessionInfo("dead" * 8, "nowhere", 1, "none"), brief)
        (fetched,) = await store.jobs.fetch_jobs([Want("work", 1)], "dead" * 8, brief, fetch_number=1)
        assert fetched.id == job.id
        async with app.worker(stalled_interval="20ms"):
            assert await job.result(timeout="10s") == "recovered"
        assert job.data.stalled_count == 1
        assert [attempt.outcome for attempt in await job.attempts()] == ["stalled", "completed"]


async def test_two_workers_share_a_queue_without_running_a_job_twice(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> None:
        ran.append(number)
        await anyio.lowlevel.checkpoint()

    async with app, app.worker(concurrency=3), app.worker(concurrency=3):
        jobs = await note.add_many([note.new(number) for number in range(200)])
        for job in jobs:
            await job.wait_until_finished(timeout="10s")
    assert sorted(ran) == list(range(200))
