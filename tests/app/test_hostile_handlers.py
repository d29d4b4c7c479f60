"""Handlers that misbehave in every way we know: each harms its own job, and never the worker or a neighbour."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from conveyor import BatchOptions, Cancel, Conveyor, JobContext, JobState, Retry, by_name
from conveyor.errors import ConfigurationError, JobFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import timedelta

pytestmark = pytest.mark.anyio


class Mute(Exception):  # noqa: N818 - it says nothing at all
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unheard(BaseException):
    """An exception of somebody's own that is none of Python's."""


def raises(error: BaseException) -> Callable[[], object]:
    """Return a function that raises."""

    def fail() -> object:
        raise error

    return fail


HOSTILE: dict[str, Callable[[], object]] = {
    "sys.exit": raises(SystemExit(3)),
    "own base exception": raises(Unheard("oh")),
    "unspeakable": raises(Mute()),
    "surrogates": raises(ValueError("\ud800")),
    "nul": raises(ValueError("a\0b")),
    "cancel without text": lambda: Cancel("\ud800"),
    "cancel that is no text": lambda: Cancel(3),  # type: ignore[arg-type]
    "retry without text": lambda: Retry(after="1ms", reason="\ud800"),
    "nan": lambda: float("nan"),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_it_ends_its_own_job_and_the_worker_goes_on(app: Conveyor, kind: str) -> None:
    @app.queue("work").job()
    async def misbehave() -> object:
        return HOSTILE[kind]()

    @app.queue("work").job()
    def misbehave_in_a_thread() -> object:
        return HOSTILE[kind]()

    @app.queue("work").job()
    async def behave() -> str:
        return "fine"

    async with app, app.worker(concurrency=1):
        for handler in (misbehave, misbehave_in_a_thread):
            job = await (await handler.add()).wait_until_finished(timeout="10s")
            assert job.state in (JobState.FAILED, JobState.CANCELLED)
        assert await (await behave.add()).result(timeout="10s") == "fine"


async def test_a_backoff_curve_that_raises_fails_its_job(app: Conveyor) -> None:
    def curve(failures: int) -> timedelta:
        raise ZeroDivisionError(failures)

    app.register_backoff("broken", curve)

    @app.queue("work").job(attempts=3, backoff=by_name("broken"))
    async def fail() -> None:
        raise OSError("no")

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="ZeroDivisionError"):
            await (await fail.add()).result(timeout="10s")


async def test_reports_that_are_no_text_are_kept_as_well_as_can_be(app: Conveyor) -> None:
    @app.queue("work").job()
    async def report(context: JobContext) -> str:
        context.log("\ud800")
        context.log("a\0b")
        context.log(3)  # type: ignore[arg-type]
        context.progress(1, 2, "\ud800")
        with pytest.raises(ValueError, match="finite"):
            context.progress(float("nan"))
        return "fine"

    async with app, app.worker():
        job = await report.add()
        assert await job.result(timeout="10s") == "fine"
        assert [line.message for line in await job.logs()] == ["\\ud800", "a\\x00b", "3"]


# On trio nobody can make a cancellation of his own.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_a_handler_made_for_itself_is_its_failure(app: Conveyor) -> None:
    @app.queue("work").job()
    async def cancel_a_task_and_await_it() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        await anyio.lowlevel.checkpoint()
        task.cancel()
        await task

    @app.queue("work").job()
    async def behave() -> str:
        return "fine"

    async with app, app.worker(concurrency=1):
        with pytest.raises(JobFailedError, match="CancelledError"):
            await (await cancel_a_task_and_await_it.add()).result(timeout="10s")
        assert await (await behave.add()).result(timeout="10s") == "fine"


async def test_a_thread_of_an_async_handler_may_report(app: Conveyor) -> None:
    @app.queue("work").job()
    async def compute(context: JobContext) -> str:
        await anyio.to_thread.run_sync(partial(context.log, "from a thread"))
        return "fine"

    async with app, app.worker():
        job = await compute.add()
        assert await job.result(timeout="10s") == "fine"
        assert [line.message for line in await job.logs()] == ["from a thread"]


async def test_who_waits_for_a_job_when_the_app_closes_is_told(app: Conveyor) -> None:
    told: list[str] = []
    waiting = anyio.Event()

    async def wait() -> None:
        job = await app.queue("work").add("never")
        waiting.set()
        with pytest.raises(ConfigurationError, match="the app was closed"):
            await job.result()
        told.append("yes")

    async with anyio.create_task_group() as tasks, app:
        tasks.start_soon(wait)
        await waiting.wait()
        await anyio.wait_all_tasks_blocked()
    assert told == ["yes"]


async def test_threads_that_hang_do_not_keep_others_from_running(app: Conveyor) -> None:
    stop: list[int] = []

    @app.queue("work").job(timeout="20ms")
    def hang() -> None:
        while not stop:
            pass

    @app.queue("work").job(timeout="30s")
    def behave() -> str:
        return "fine"

    async with app, app.worker(concurrency=1):
        try:
            with pytest.raises(JobFailedError, match="TimeoutError"):
                await (await hang.add()).result(timeout="10s")
            assert await (await behave.add()).result(timeout="30s") == "fine"
        finally:
            stop.append(1)


@pytest.mark.parametrize("wrong", [42, object()])
async def test_a_store_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="store must be a URL"):
        Conveyor(wrong)  # type: ignore[arg-type]


async def test_a_decorator_without_parentheses_is_refused(app: Conveyor) -> None:
    async def handler() -> None: ...

    with pytest.raises(ConfigurationError, match="with parentheses"):
        app.queue("work").job(handler)  # type: ignore[call-overload]


async def test_what_is_no_job_cannot_be_added(app: Conveyor) -> None:
    async with app:
        with pytest.raises(ConfigurationError, match="made with new"):
            await app.queue("work").add_many(["x"])  # type: ignore[list-item]


@pytest.mark.parametrize("text", ["\ud800", "a\0b"])
async def test_text_that_is_none_is_refused_in_tags_and_metadata(app: Conveyor, text: str) -> None:
    with pytest.raises(ConfigurationError, match="tags"):
        app.queue("work", tags=[text])
    with pytest.raises(ConfigurationError, match="metadata"):
        app.queue("work", metadata={"a": text})


async def test_a_delay_beyond_all_time_is_refused(app: Conveyor) -> None:
    with pytest.raises(ConfigurationError, match="100 years"):
        app.queue("work", delay="99999999 days")


async def test_an_exception_that_is_returned_fails_its_job_and_says_what_to_do(app: Conveyor) -> None:
    @app.queue("work").job()
    async def confuse() -> object:
        return ValueError("oh")

    async with app, app.worker():
        job = await confuse.add()
        with pytest.raises(JobFailedError, match=r"no JSON form; raise an exception, or return Failed\(error\)"):
            await job.result(timeout="20s")


async def test_a_function_that_yields_is_refused(app: Conveyor) -> None:
    async def several() -> AsyncIterator[int]:
        yield 1

    def few() -> Iterator[int]:
        yield 1

    queue = app.queue("work")
    registers: tuple[Any, ...] = (queue.job(), queue.job(batch=BatchOptions(size=2)), queue.process)
    for register in registers:
        for function in (several, few):
            with pytest.raises(ConfigurationError, match=r"yields, which would never run it: return a list"):
                register(function)


async def test_a_long_line_is_cut_in_the_middle(app: Conveyor) -> None:
    @app.queue("work").job()
    async def chatter(context: JobContext) -> None:
        context.log("a" * 1_000_000 + "b")
        context.progress(1, message="c" * 1_000_000)

    async with app, app.worker():
        job = await chatter.add()
        await job.wait_until_finished(timeout="20s")
        await job.log("d" * 1_000_000)
        lines = [line.message for line in await job.logs()]
        progress = job.progress
    assert [(line[0], line[-1], len(line) < 11_000) for line in lines] == [("a", "b", True), ("d", "d", True)]
    assert "990001 characters left out" in lines[0]
    assert progress is not None
    assert progress.message is not None
    assert len(progress.message) < 11_000
