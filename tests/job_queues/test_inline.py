"""The inline strategy, as tests and scripts meet it."""

from __future__ import annotations

import logging
from functools import partial

import anyio
import pytest

from conveyor import BatchOptions, Cancel, Conveyor, JobContext, JobState, Snooze, exponential
from conveyor._builtin.inline_queue import InlineJobQueue, InlineOptions
from conveyor.errors import (
    CapabilityError,
    DuplicateJobError,
    InvalidJobStateError,
    JobFailedError,
    JobNotFoundError,
)
from conveyor.model.error_groups import ErrorGroupFilter

pytestmark = pytest.mark.anyio


@pytest.fixture
def app() -> Conveyor:
    """An app whose jobs run inline."""
    return Conveyor("memory://", job_queue="inline")


async def test_a_job_has_run_when_add_returns_and_needs_no_worker(app: Conveyor) -> None:
    @app.queue("sums").job()
    async def add(a: int, b: int) -> int:
        return a + b

    async with app:
        job = await add.add(1, 2)
        assert await job.result(timeout="1s") == 3
        assert (await job.refresh()).state is JobState.COMPLETED
        assert [one.id for one in (await app.jobs.find()).jobs] == [job.id]


async def test_sync_and_batch_handlers_run_inline_too(app: Conveyor) -> None:
    queue = app.queue("sums")

    @queue.job()
    def double(number: int) -> int:
        return 2 * number

    @queue.job(batch=BatchOptions(size=3, linger=0))
    async def gather(numbers: list[int]) -> list[int]:
        return [len(numbers)] * len(numbers)

    async with app:
        assert await (await double.add(4)).result() == 8
        assert await (await gather.add(4)).result() == 1


async def test_the_middleware_and_the_apps_state_are_there(app: Conveyor) -> None:
    @app.queue("sums").job()
    async def work(ctx: JobContext) -> int:
        await inner.add(ctx.job.name)
        return ctx.attempt

    seen: list[str] = []

    @app.queue("inner").job()
    async def inner(name: str) -> None:
        seen.append(name)

    async with app:
        assert await (await work.add()).result() == 1
    assert seen == ["work"]


async def test_a_retry_follows_at_once_whatever_its_backoff_says(app: Conveyor) -> None:
    attempts: list[int] = []

    @app.queue("work").job(attempts=3, backoff=exponential("1h"))
    async def fail(ctx: JobContext) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return "there"

    async with app:
        assert await (await fail.add()).result() == "there"
    assert attempts == [1, 2, 3]


async def test_what_fails_for_good_is_told_by_its_result_and_where_asked_for_by_add() -> None:
    async def fail() -> None:
        raise ValueError("no paper")

    quiet = Conveyor("memory://", job_queue=InlineJobQueue())
    loud = Conveyor("memory://", job_queue=InlineJobQueue(InlineOptions(raise_on_failure=True)))
    async with quiet:
        job = await quiet.queue("work").job()(fail).add()
        with pytest.raises(JobFailedError, match="no paper"):
            await job.result()
    async with loud:
        with pytest.raises(ValueError, match="no paper"):
            await loud.queue("work").job()(fail).add()
        (kept,) = (await loud.jobs.find()).jobs
        assert kept.state is JobState.FAILED


async def test_a_job_of_a_name_without_a_handler_fails_and_says_so(app: Conveyor) -> None:
    async with app:
        job = await app.queue("work").add("pack")
        with pytest.raises(JobFailedError, match="UnknownHandlerError"):
            await job.result()


async def test_what_puts_a_job_off_is_refused(app: Conveyor) -> None:
    queue = app.queue("work")

    @queue.job()
    async def snooze() -> Snooze:
        return Snooze("1m")

    @queue.job()
    async def give_up() -> Cancel:
        return Cancel("sold out")

    async with app:
        with pytest.raises(CapabilityError, match="delay= or run_at= needs the capability 'has_delays'"):
            await queue.schedule("1m", "snooze")
        assert (await app.jobs.find()).jobs == []
        with pytest.raises(JobFailedError, match="a job that is put off needs the capability 'has_delays'"):
            await (await snooze.add()).result()
        assert (await (await give_up.add()).refresh()).state is JobState.CANCELLED
        for refused in (lambda: queue.add("pack", connection=object()), queue.counts, queue.pause):
            with pytest.raises(CapabilityError):
                await refused()


async def test_a_timeout_cancels_the_run(app: Conveyor) -> None:
    @app.queue("work").job(timeout=0.01)
    async def last() -> None:
        await anyio.sleep_forever()

    async with app:
        with pytest.raises(JobFailedError, match="the run took longer"):
            await (await last.add()).result()


async def test_a_cancelled_adder_cancels_its_job_which_is_then_no_longer_running(app: Conveyor) -> None:
    begun = anyio.Event()

    @app.queue("work").job(job_id="long")
    async def last() -> None:
        begun.set()
        await anyio.sleep_forever()

    async with app, anyio.create_task_group() as tasks:
        tasks.start_soon(last.add)
        await begun.wait()
        assert (await app.jobs.get("long")).state is JobState.ACTIVE
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.wait_all_tasks_blocked()
            job = await app.jobs.get("long")
            assert job.state is JobState.CANCELLED
            assert job.data.error is not None
            assert job.data.error.message == "the task that added it was cancelled"


async def test_a_running_job_is_cancelled_by_another_task_and_its_adder_goes_on(app: Conveyor) -> None:
    begun = anyio.Event()

    @app.queue("work").job(job_id="long")
    async def last() -> None:
        begun.set()
        await anyio.sleep_forever()

    added: list[str] = []

    async def add() -> None:
        added.append((await last.add()).id)

    async with app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add)
            await begun.wait()
            await (await app.jobs.get("long")).cancel()
        assert added == ["long"]
        job = await app.jobs.get("long")
        assert job.state is JobState.CANCELLED
        with pytest.raises(InvalidJobStateError):
            await job.cancel()


async def test_a_job_id_is_taken_once(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job(job_id="one")
    async def note(number: int) -> None:
        ran.append(number)

    async with app:
        await note.add(1)
        await note.add(1)
        with pytest.raises(DuplicateJobError):
            await note.add(2)
    assert ran == [1]


async def test_no_more_is_remembered_than_is_to_be_kept() -> None:
    app = Conveyor("memory://", job_queue=InlineJobQueue(InlineOptions(most_kept=3)))

    @app.queue("work").job()
    async def work(number: int) -> int:
        return number

    async with app:
        jobs = [await work.add(number) for number in range(5)]
        assert [job.id for job in (await app.jobs.find()).jobs] == [job.id for job in jobs[:1:-1]]
        gone = await work.options(remove_on_complete=True).add(5)
        with pytest.raises(JobNotFoundError):
            await gone.result()


async def test_what_a_run_says_is_logged(app: Conveyor, caplog: pytest.LogCaptureFixture) -> None:
    @app.queue("work").job()
    async def talk(ctx: JobContext) -> None:
        ctx.log("half way")

    with caplog.at_level(logging.INFO, "conveyor.jobs"):
        async with app:
            job = await talk.add()
    assert f"job {job.id}: half way" in caplog.text


async def test_a_worker_beside_it_has_nothing_to_do(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> None:
        ran.append(number)

    async with app, app.worker():
        await note.add_many([note.new(number) for number in range(3)])
        assert ran == [0, 1, 2]


async def test_a_queue_is_cleaned_of_every_job_that_ended(app: Conveyor) -> None:
    queue = app.queue("work")

    @queue.job()
    async def divide(by: int) -> float:
        return 1 / by

    async with app:
        jobs = [await divide.add(by) for by in (0, 1)]
        assert await app.queue("others").clean(None) == 0
        assert await queue.clean(None, grace="1 hour") == 0
        with pytest.raises(CapabilityError, match=r"of one state needs .*: clean\(None, grace\)"):
            await queue.clean("failed")
        assert await queue.clean(None) == 2
        with pytest.raises(JobNotFoundError):
            await jobs[0].refresh()


async def test_what_only_a_store_can_tell_is_refused_by_the_name_of_the_job_queue(app: Conveyor) -> None:
    async with app:
        for ask in (app.metrics, app.batches.list, partial(app.jobs.error_groups, ErrorGroupFilter())):
            with pytest.raises(CapabilityError, match="which the job queue 'InlineJobQueue' does not have"):
                await ask()
