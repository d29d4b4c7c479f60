"""Opened in the host's task group: closed by any task, cancelled by the host, and failing into the host's group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor.errors import ConfigurationError, StoreError
from tests.app.hosted import FailingQueue, add_handlers, is_active
from tests.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_it_opens_runs_jobs_and_is_closed_by_another_task(app: Conveyor) -> None:
    add_handlers(app)
    async with anyio.create_task_group() as tasks:
        opened = await app.open_in(tasks, app.worker(concurrency=2))
        job = await app.queue("work").add("double", {"number": 21})
        assert await job.result(timeout="10s") == 42
        tasks.start_soon(opened.close)
    with pytest.raises(ConfigurationError, match="not open"):
        await job.refresh()


async def test_without_a_worker_it_only_adds(app: Conveyor) -> None:
    add_handlers(app)
    async with anyio.create_task_group() as tasks:
        opened = await app.open_in(tasks)
        job = await app.queue("work").add("double", {"number": 21})
        assert (await job.refresh()).state is JobState.WAITING
        await opened.close()


async def test_closing_lets_running_jobs_end(app: Conveyor) -> None:
    go_on = anyio.Event()
    ended: list[str] = []

    @app.queue("work").job()
    async def wait() -> None:
        await go_on.wait()
        ended.append("in peace")

    async with anyio.create_task_group() as tasks:
        opened = await app.open_in(tasks, app.worker())
        await eventually(partial(is_active, await wait.add()))
        tasks.start_soon(opened.close)
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert ended == ["in peace"]


async def test_it_can_be_closed_twice_and_opened_again(app: Conveyor) -> None:
    add_handlers(app)
    async with anyio.create_task_group() as tasks:
        for number in (1, 2):
            opened = await app.open_in(tasks, app.worker())
            assert await (await app.queue("work").add("double", {"number": number})).result("10s") == number * 2
            async with anyio.create_task_group() as closers:
                closers.start_soon(opened.close)
                closers.start_soon(opened.close)
            await opened.close()


async def test_a_cancelled_host_hands_its_jobs_back(tmp_path: Path) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
    add_handlers(app)
    async with anyio.create_task_group() as tasks:
        opened = await app.open_in(tasks, app.worker())
        job = await app.queue("work").add("hang")
        await eventually(partial(is_active, job))
        tasks.cancel_scope.cancel()
    await opened.close()
    async with app:
        assert (await app.jobs.get(job.id)).state is JobState.WAITING


async def test_a_closer_that_is_cancelled_leaves_the_closing_to_itself(app: Conveyor) -> None:
    go_on = anyio.Event()

    @app.queue("work").job()
    async def wait() -> None:
        await go_on.wait()

    async with anyio.create_task_group() as tasks:
        opened = await app.open_in(tasks, app.worker())
        await eventually(partial(is_active, await wait.add()))
        with anyio.move_on_after(0) as impatience:
            await opened.close()
        assert impatience.cancelled_caught
        go_on.set()
        await opened.close()


async def test_what_ends_the_app_goes_to_the_hosts_group_by_itself() -> None:
    strategy = FailingQueue()
    app = Conveyor("memory://", job_queue=strategy)
    with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="gone")):
        async with anyio.create_task_group() as tasks:
            opened = await app.open_in(tasks)
            strategy.fails.set()
            await opened.close()
    assert strategy.is_closed


async def test_what_cannot_be_opened_is_raised_to_the_opener_and_spares_the_host(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(b"no database at all" * 100)
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
    async with anyio.create_task_group() as tasks:
        with pytest.raises(StoreError):
            await app.open_in(tasks)


async def test_a_worker_that_cannot_be_opened_closes_the_app_again(app: Conveyor) -> None:
    add_handlers(app)
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ConfigurationError, match="no handler"):
            await app.open_in(tasks, app.worker("wrok"))
        opened = await app.open_in(tasks)
        await opened.close()


async def test_an_app_that_is_open_is_not_opened_in_a_group(app: Conveyor) -> None:
    async with anyio.create_task_group() as tasks, app:
        with pytest.raises(ConfigurationError, match="open already"):
            await app.open_in(tasks)


async def test_an_opener_that_is_cancelled_leaves_nothing_open(app: Conveyor) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await app.open_in(tasks)
        assert scope.cancelled_caught
        async with app:
            pass


async def test_an_opener_that_is_cancelled_half_way_closes_what_it_had_opened() -> None:
    strategy = FailingQueue(opens=False)
    app = Conveyor("memory://", job_queue=strategy)
    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as openers:
            openers.start_soon(app.open_in, tasks)
            await strategy.is_opening.wait()
            openers.cancel_scope.cancel()
        assert strategy.is_closed


async def test_what_is_no_task_group_is_refused_by_name(app: Conveyor) -> None:
    with pytest.raises(ConfigurationError, match=r"trio nursery.*got 'tasks'"):
        await app.open_in("tasks")  # type: ignore[arg-type]


async def test_what_is_no_worker_is_refused_by_name(app: Conveyor) -> None:
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ConfigurationError, match=r"app.worker\(...\), got 'emails'"):
            await app.open_in(tasks, "emails")  # type: ignore[arg-type]


async def test_a_group_that_was_left_takes_no_app(app: Conveyor) -> None:
    async with anyio.create_task_group() as tasks:
        pass
    with pytest.raises(ConfigurationError, match="takes no tasks"):
        await app.open_in(tasks)
