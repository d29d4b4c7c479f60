"""A worker that is paused: what runs goes on, nothing begins, and others may have what it had fetched ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from conveyor import Conveyor

pytestmark = pytest.mark.anyio


async def test_what_runs_ends_and_another_worker_gets_the_rest(app: Conveyor) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def note(number: int) -> None:
        begun.set()
        await go_on.wait()

    async with app:
        jobs = await note.add_many([note.new(number) for number in range(6)])
        with anyio.fail_after(20):
            async with app.worker(concurrency=1, prefetch=3) as worker:
                await begun.wait()
                worker.pause()
                assert worker.is_paused
                go_on.set()
                await jobs[0].wait_until_finished()
                async with app.worker(concurrency=1):
                    for job in jobs:
                        await job.wait_until_finished()
        runs = [(await job.attempts())[-1].token.session_id for job in jobs]
    assert len(set(runs)) == 2
    assert runs[1:] == [runs[1]] * 5


async def test_a_resumed_worker_goes_on(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note() -> str:
        return "done"

    async with app, app.worker() as worker:
        worker.pause()
        jobs = await note.add_many([note.new(), note.options(delay="1ms").new()])
        worker.resume()
        assert not worker.is_paused
        assert [await job.result(timeout="20s") for job in jobs] == ["done", "done"]


async def test_a_worker_that_is_not_open_says_so(app: Conveyor) -> None:
    worker = app.worker()
    assert not worker.is_paused
    for ask in (worker.pause, worker.resume):
        with pytest.raises(ConfigurationError, match=r"the worker is not open: `async with app\.worker\(\) as worker"):
            ask()
