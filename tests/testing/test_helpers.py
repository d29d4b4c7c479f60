"""Inline and drained apps, and what was added to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, Flow, JobContext, JobState, Retry, Snooze, fixed
from conveyor.errors import ConfigurationError, JobFailedError
from conveyor.testing import Drained, added_jobs, assert_added, drain, inline, make_job

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor import JobHandler

pytest_plugins = ["conveyor.testing.pytest_plugin"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def app(conveyor_store: str) -> Conveyor:
    """An app that is not open yet."""
    return Conveyor(conveyor_store)


async def test_inline_jobs_run_while_they_are_added(app: Conveyor) -> None:
    @app.queue("work").job()
    async def double(number: int) -> int:
        return number * 2

    @app.queue("other").job()
    def in_a_thread() -> str:
        return "ran"

    async with inline(app):
        job = await double.add(4)
        assert (await job.refresh()).state is JobState.COMPLETED
        assert await job.result() == 8
        assert await (await in_a_thread.add()).result() == "ran"


async def test_inline_jobs_may_add_jobs(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def count_down(number: int) -> None:
        ran.append(number)
        if number:
            await count_down.add(number - 1)

    async with inline(app):
        await count_down.add(3)
    assert ran == [3, 2, 1, 0]


async def test_what_an_inline_job_raises_comes_out_of_add(app: Conveyor) -> None:
    @app.queue("work").job(attempts=2)
    async def divide(by: int) -> float:
        return 1 / by

    async with inline(app):
        with pytest.raises(ZeroDivisionError):
            await divide.add(0)
        (job,) = await added_jobs(app)
        assert (job.state, job.attempts_made) == (JobState.FAILED, 2)
    async with inline(app, raise_on_failure=False):
        failed = await divide.add(0)
        with pytest.raises(JobFailedError, match="ZeroDivisionError"):
            await failed.result()


async def test_inline_jobs_keep_logs_progress_timeouts_and_delays(app: Conveyor) -> None:
    @app.queue("work").job(timeout="10ms")
    async def hang(context: JobContext) -> None:
        context.log("begun")
        context.progress(1, 2)
        await anyio.sleep_forever()

    @app.queue("work").job()
    async def put_off() -> Snooze:
        return Snooze("1 hour")

    async with inline(app, raise_on_failure=False):
        job = await hang.add()
        assert [entry.message for entry in await job.logs()] == ["begun"]
        await job.refresh()
        assert job.progress is not None
        assert job.progress.done == 1
        assert "TimeoutError" in str(job.data.error)
        assert (await (await put_off.add()).refresh()).state is JobState.DELAYED
        assert (await (await put_off.options(delay="1 hour").add()).refresh()).state is JobState.DELAYED
        assert (await (await app.queue("nobody").add("x")).refresh()).state is JobState.WAITING


async def test_inline_leaves_the_apps_own_store_alone(tmp_path: Path) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")

    @app.queue("work").job()
    async def note() -> None: ...

    async with inline(app):
        await note.add()
    assert not (tmp_path / "jobs.db").exists()
    async with app:
        await note.add()
        assert await app.queue("work").count("waiting") == 1


async def test_drain_runs_everything_that_waits_and_what_it_adds(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def count_down(number: int) -> None:
        ran.append(number)
        if number:
            await count_down.add(number - 1)

    async with app:
        assert (await drain(app)).completed == 0
        await count_down.add_many([count_down.new(2), count_down.new(1)])
        await count_down.options(delay="1 hour").add(0)
        drained = await drain(app, "work")
        assert (drained.completed, drained.failed, drained.delayed) == (5, 0, 1)
        assert (await drain(app, with_delayed=True)).completed == 1
    assert sorted(ran) == [0, 0, 0, 1, 1, 2]


async def test_drain_tells_of_failures(app: Conveyor) -> None:
    @app.queue("work").job()
    async def divide(by: int) -> float:
        return 1 / by

    @app.queue("work").job(attempts=2, backoff=fixed("1 hour"))
    async def again() -> Retry:
        return Retry()

    async with app:
        await divide.add(0)
        with pytest.raises(JobFailedError, match="ZeroDivisionError"):
            await drain(app)
        await divide.add_many([divide.new(0), divide.new(0), divide.new(1)])
        with pytest.raises(ExceptionGroup, match="2 jobs failed"):
            await drain(app)
        await divide.add(0)
        await again.add()
        drained = await drain(app, raise_on_failure=False)
        assert (drained.completed, drained.failed, drained.delayed) == (0, 1, 1)
        assert [job.name for job in drained.failures] == ["divide"]


def parts_and_boxes(app: Conveyor) -> tuple[JobHandler[..., Any, [], None], JobHandler[..., Any, [], None]]:
    """Register a handler in each of two queues: for children, and for their parents."""

    @app.queue("parts").job()
    async def weigh() -> None: ...

    @app.queue("boxes").job()
    async def pack() -> None: ...

    return weigh, pack


async def test_drain_names_the_queues_that_jobs_wait_for_and_that_it_does_not_serve(app: Conveyor) -> None:
    weigh, pack = parts_and_boxes(app)
    async with app:
        # What waits on the shelves waits for others itself: first of all, those have to run.
        await app.flows.add(Flow(pack.new(), [Flow(app.queue("shelves").new("hold"), [weigh.new()])]))
        with pytest.raises(ConfigurationError, match=r"children in 'parts'.*drain\(app, 'boxes', 'parts'\)"):
            with anyio.fail_after(10):
                await drain(app, "boxes")
        with pytest.raises(ConfigurationError, match=r"children in 'shelves'"):
            with anyio.fail_after(10):
                await drain(app)
        assert await app.queue("parts").count(JobState.COMPLETED) == 1


async def test_drain_waits_for_no_child_that_is_for_later(app: Conveyor) -> None:
    weigh, pack = parts_and_boxes(app)
    async with app:
        await app.flows.add(Flow(pack.new(), [weigh.options(delay="1 hour").new()]))
        with anyio.fail_after(10):
            assert await drain(app) == Drained(0, 0, 0, 1, [])
            assert await drain(app, "boxes") == Drained(0, 0, 0, 0, [])
            with pytest.raises(ConfigurationError, match="children in 'parts'"):
                await drain(app, "boxes", with_delayed=True)
            assert await drain(app, with_delayed=True) == Drained(2, 0, 0, 0, [])


async def test_drain_waits_for_children_that_another_worker_runs(app: Conveyor) -> None:
    running = anyio.Event()
    _, pack = parts_and_boxes(app)

    @app.queue("elsewhere").job()
    async def weigh() -> None:
        running.set()
        await anyio.sleep(0.1)

    async with app, app.worker("elsewhere"):
        await app.flows.add(Flow(pack.new(), [weigh.new()]))
        await running.wait()
        assert (await drain(app, "boxes")).completed == 1


async def test_what_was_added_is_found_by_name_and_arguments(app: Conveyor) -> None:
    queue = app.queue("mail")
    async with app:
        await queue.add("send", {"to": "ada", "at": datetime(2030, 1, 1, tzinfo=UTC)})
        await queue.add("send", {"to": "bob"})
        await app.queue("other").add("send", {"to": "cy"})
        assert [job.name for job in await added_jobs(app)] == ["send"] * 3
        assert len(await added_jobs(queue)) == 2
        assert await added_jobs(app, "unheard") == []
        job = await assert_added(app, "send", to="ada", at=datetime(2030, 1, 1, tzinfo=UTC))
        assert job.queue_name == "mail"
        await assert_added(queue, "send", to="bob")
        with pytest.raises(AssertionError, match=r"no job 'send' was added with .*'cy'.*\n  mail/send"):
            await assert_added(queue, "send", to="cy")
        with pytest.raises(AssertionError):
            await assert_added(app, "send", cc="ada")


def test_a_job_is_made_with_defaults() -> None:
    job = make_job("send", {"to": "ada"}, attempts_made=1)
    assert (job.name, job.payload, job.state, job.attempts_made) == ("send", b'{"to":"ada"}', JobState.ACTIVE, 1)
    assert make_job().id != make_job().id
    assert JobContext(make_job(attempts_made=2), None, lambda: False).attempt == 3  # type: ignore[arg-type]
