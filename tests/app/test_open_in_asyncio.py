"""Opened in hosts that only asyncio has: its own task group, and a bare event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor.errors import ConfigurationError, StoreError
from tests.app.hosted import FailingQueue, add_handlers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The backend that has them."""
    backend: str = request.param
    return backend


pytestmark = pytest.mark.anyio


async def test_in_asyncios_own_task_group(app: Conveyor) -> None:
    add_handlers(app)
    async with asyncio.TaskGroup() as tasks:
        opened = await app.open_in(tasks, app.worker())
        job = await app.queue("work").add("double", {"number": 21})
        assert await job.result(timeout="10s") == 42
        await asyncio.create_task(opened.close())


async def test_an_app_that_fails_ends_asyncios_own_task_group() -> None:
    strategy = FailingQueue()
    app = Conveyor("memory://", job_queue=strategy)
    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="gone")):
        async with asyncio.TaskGroup() as tasks:
            opened = await app.open_in(tasks)
            strategy.fails.set()
            await opened.close()
    assert strategy.is_closed


async def test_in_a_bare_event_loop_close_raises_what_ended_the_app(caplog: pytest.LogCaptureFixture) -> None:
    strategy = FailingQueue()
    app = Conveyor("memory://", job_queue=strategy)
    opened = await app.open_in(asyncio.get_running_loop())
    with caplog.at_level(logging.ERROR, "conveyor.app"):
        strategy.fails.set()
        with pytest.raises(LookupError, match="gone"):
            await opened.close()
    assert "close() raises it" in caplog.text


async def test_an_event_loop_raises_to_the_opener_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(b"no database at all" * 100)
    for host in (asyncio.get_running_loop(), asyncio.TaskGroup()):
        app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
        if isinstance(host, asyncio.TaskGroup):
            async with host:
                with pytest.raises(StoreError):
                    await app.open_in(host)
        else:
            with pytest.raises(StoreError):
                await app.open_in(host)


async def test_a_cancelled_opener_leaves_nothing_open_in_a_bare_event_loop(app: Conveyor) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await app.open_in(asyncio.get_running_loop())
    assert scope.cancelled_caught
    async with app:
        pass


async def test_an_opener_that_is_cancelled_half_way_closes_what_it_had_opened() -> None:
    strategy = FailingQueue(opens=False)
    app = Conveyor("memory://", job_queue=strategy)
    opener = asyncio.create_task(app.open_in(asyncio.get_running_loop()))
    await strategy.is_opening.wait()
    opener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opener
    assert strategy.is_closed


async def test_an_app_that_its_host_cancels_before_it_is_open_is_not_called_open() -> None:
    strategy = FailingQueue(opens=False)
    app = Conveyor("memory://", job_queue=strategy)

    async def cancel_the_host() -> None:
        await strategy.is_opening.wait()
        raise LookupError("elsewhere in the program")

    async def host() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(cancel_the_host())
            hosts.set_result(tasks)
            await asyncio.Event().wait()

    hosts: asyncio.Future[asyncio.TaskGroup] = asyncio.get_running_loop().create_future()
    hosting = asyncio.create_task(host())
    with pytest.raises(ConfigurationError, match="cancelled the app before it was open"):
        await app.open_in(await hosts)
    with pytest.RaisesGroup(LookupError):
        await hosting


async def test_asyncios_own_group_that_was_left_takes_no_app(app: Conveyor) -> None:
    async with asyncio.TaskGroup() as tasks:
        pass
    with pytest.raises(ConfigurationError, match="takes no tasks"):
        await app.open_in(tasks)


def test_a_loop_that_ends_closes_an_app_that_nobody_closed(tmp_path: Path) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
    add_handlers(app)

    async def main() -> str:
        await app.open_in(asyncio.get_running_loop(), app.worker())
        job = await app.queue("work").add("double", {"number": 21})
        assert await job.result(timeout="10s") == 42
        return job.id

    async def look(job_id: str) -> JobState:
        async with app:
            return (await app.jobs.get(job_id)).state

    job_id = asyncio.run(main())
    assert asyncio.run(look(job_id)) is JobState.COMPLETED
