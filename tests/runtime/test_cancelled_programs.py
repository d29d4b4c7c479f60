"""A program that is cancelled while a handler takes long to clean up: its worker keeps every promise until then."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor.testing.clocks import JumpingClock, jumping_backends

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
def app() -> Conveyor:
    """An app on virtual time that is not open yet."""
    return Conveyor("memory://", clock=JumpingClock())


async def clean_up_for(seconds: float) -> None:
    """Take so long, whoever cancels it."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep(seconds)


async def test_a_timeout_that_passes_meanwhile_is_not_charged(app: Conveyor) -> None:
    program = anyio.CancelScope()

    @app.queue("work").job(timeout=5)
    async def tidy() -> None:
        program.cancel()
        await clean_up_for(100)
        await anyio.sleep_forever()

    async with app:
        job = await tidy.add()
        with program:
            async with app.worker():
                await anyio.sleep_forever()
        assert (await job.refresh()).state is JobState.WAITING
        assert job.data.attempts_made == 0


async def test_its_lock_is_kept_so_that_no_other_worker_runs_the_job_beside_it(app: Conveyor) -> None:
    program = anyio.CancelScope()
    events: list[str] = []

    @app.queue("work").job()
    async def tidy() -> None:
        events.append("starts")
        if not program.cancel_called:
            program.cancel()
            await clean_up_for(100)
            events.append("has cleaned up")
            await anyio.sleep_forever()

    async def work() -> None:
        with program:
            async with app.worker(lock_duration=5):
                await anyio.sleep_forever()

    async with app, anyio.create_task_group() as tasks:
        job = await tidy.add()
        tasks.start_soon(work)
        while not program.cancel_called:  # noqa: ASYNC110 - virtual time
            await anyio.sleep(0.1)
        async with app.worker(stalled_interval=1):
            await job.wait_until_finished(timeout=1000)
    assert events == ["starts", "has cleaned up", "starts"]
    assert job.data.stalled_count == 0


async def test_what_other_handlers_did_is_written_at_once(app: Conveyor) -> None:
    program = anyio.CancelScope()

    @app.queue("work").job()
    async def tidy() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            await clean_up_for(100)

    @app.queue("work").job()
    async def finish() -> str:
        with anyio.CancelScope(shield=True):
            await program_is_cancelled.wait()
        return "to the end"

    async def work() -> None:
        with program:
            async with app.worker():
                await anyio.sleep(1)
                program.cancel()
                program_is_cancelled.set()

    program_is_cancelled = anyio.Event()
    async with app, anyio.create_task_group() as tasks:
        await tidy.add()
        job = await finish.add()
        began_at = anyio.current_time()
        tasks.start_soon(work)
        assert await job.result(timeout=1000) == "to the end"
        assert anyio.current_time() - began_at < 10
