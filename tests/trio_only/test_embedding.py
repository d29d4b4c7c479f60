"""Inside a trio program: its own nursery, its own cancel scopes, and guest mode, with pytest-trio as the runner."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from conveyor import Conveyor, JobContext, JobState
from conveyor.errors import ConfigurationError
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conveyor import Job


async def is_running(job: Job[object]) -> bool:
    """Look whether a job's handler has begun: it is active a moment before."""
    return (await job.refresh()).progress is not None


def make_app(folder: Path) -> tuple[Conveyor, Callable[[], int]]:
    """Return an app over SQLite, and how many of its jobs were stopped in the middle."""
    app = Conveyor(f"sqlite:///{folder}/jobs.db")
    stopped: list[int] = []

    @app.queue("work").job()
    async def double(number: int) -> int:
        await trio.lowlevel.checkpoint()
        return number * 2

    @app.queue("work").job()
    async def hang(ctx: JobContext) -> None:
        ctx.progress(1)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            stopped.append(1)
            raise

    return app, lambda: len(stopped)


@pytest.mark.trio
async def test_a_worker_lives_in_the_hosts_own_nursery(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path)

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        async with app, app.worker("work", concurrency=2):
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        job = await app.queue("work").add("double", {"number": 21})
        assert await job.result(timeout="10s") == 42
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_the_hosts_cancel_scope_reaches_a_handler_and_its_job_waits_again(tmp_path: Path) -> None:
    app, stopped = make_app(tmp_path)
    async with app:
        with trio.CancelScope() as scope:
            async with app.worker("work"):
                job = await app.queue("work").add("hang")
                await eventually(partial(is_running, job))
                scope.cancel()
        assert scope.cancelled_caught
        assert stopped() == 1
        assert (await job.refresh()).state is JobState.WAITING


@pytest.mark.trio
async def test_a_crash_in_the_hosts_nursery_closes_the_app_in_order(tmp_path: Path) -> None:
    app, stopped = make_app(tmp_path)

    async def crash() -> None:
        raise LookupError("elsewhere in the program")

    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="elsewhere")):
        async with trio.open_nursery() as nursery, app, app.worker("work"):
            job = await app.queue("work").add("hang")
            await eventually(partial(is_running, job))
            nursery.start_soon(crash)
            await trio.sleep_forever()
    assert stopped() == 1
    async with app:
        assert (await app.jobs.get(job.id)).state is JobState.WAITING


async def _guest(folder: Path) -> int:
    app, _ = make_app(folder)
    async with app, app.worker("work"):
        job = await app.queue("work").add("double", {"number": 4})
        result: int = await job.result(timeout="10s")
        return result


def test_trio_as_a_guest_of_another_loop(tmp_path: Path) -> None:
    async def host() -> int:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()

        def finish(outcome: object) -> None:
            done.set_result(outcome.unwrap())  # type: ignore[attr-defined]  # an outcome.Outcome

        trio.lowlevel.start_guest_run(
            _guest,
            tmp_path,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=finish,
            host_uses_signal_set_wakeup_fd=True,
        )
        return await done

    assert asyncio.run(host()) == 8


@pytest.mark.trio
async def test_an_app_opened_in_the_hosts_nursery_is_closed_by_any_task(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path)
    async with trio.open_nursery() as nursery:
        opened = await app.open_in(nursery, app.worker("work"))
        job = await app.queue("work").add("double", {"number": 21})
        assert await job.result(timeout="10s") == 42
        nursery.start_soon(opened.close)


@pytest.mark.trio
async def test_a_nursery_that_is_cancelled_hands_the_jobs_of_an_app_opened_in_it_back(tmp_path: Path) -> None:
    app, stopped = make_app(tmp_path)
    async with trio.open_nursery() as nursery:
        await app.open_in(nursery, app.worker("work"))
        job = await app.queue("work").add("hang")
        await eventually(partial(is_running, job))
        nursery.cancel_scope.cancel()
    assert stopped() == 1
    async with app:
        assert (await app.jobs.get(job.id)).state is JobState.WAITING


@pytest.mark.trio
async def test_a_nursery_that_was_left_takes_no_app(tmp_path: Path) -> None:
    app, _ = make_app(tmp_path)
    async with trio.open_nursery() as nursery:
        pass
    with pytest.raises(ConfigurationError, match="takes no tasks"):
        await app.open_in(nursery)
