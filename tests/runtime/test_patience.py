"""What an operator is told of a worker that fetches nothing because of a job that stalled before."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import pytest

from conveyor import Conveyor
from conveyor._runtime.dumps import describe_runs
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.testing.clocks import JumpingClock, jumping_backends

pytestmark = pytest.mark.anyio

BRIEF = timedelta(milliseconds=1)


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


def slow_app() -> Conveyor:
    """Return an app with a handler that takes as long as it is told."""
    app = Conveyor("memory://", clock=JumpingClock())

    @app.queue("work").job()
    async def rest(seconds: int) -> None:
        await anyio.sleep(seconds)

    return app


async def make_suspect(app: Conveyor, seconds: int) -> str:
    """Add a job that stalled once, and will take so long."""
    store = app._services.store
    job = await app.queue("work").add("rest", {"seconds": seconds})
    await store.sessions.open(SessionInfo("dead", "nowhere", 1, "none"), BRIEF)
    assert len(await store.jobs.fetch_jobs([Want("work", 1)], "dead", BRIEF, fetch_number=1)) == 1
    await anyio.sleep(0.01)
    assert len(await store.jobs.reclaim_stalled_jobs(3)) == 1
    return job.id


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said about suspects."""
    return [record.getMessage() for record in caplog.records if "stalled before" in record.getMessage()]


async def test_a_suspect_that_has_a_worker_to_itself_for_long_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    app = slow_app()
    with caplog.at_level(logging.WARNING, "conveyor.worker"):
        async with app:
            job_id = await make_suspect(app, 300)
            async with app._open_worker((), {}) as worker:
                await anyio.sleep(30)
                assert warnings(caplog) == []
                assert "It fetches nothing else" in describe_runs(worker)
                await (await app.jobs.get(job_id)).result(timeout="10m")
                await anyio.sleep(1)
                assert "It fetches nothing else" not in describe_runs(worker)
    first, second, third = warnings(caplog)  # after 60, 120 and 240 seconds
    assert "has this worker to itself: nothing else was fetched for 60 s" in first
    assert f"running: work/rest {job_id}" in first
    assert "for 120 s" in second
    assert "for 240 s" in third


async def test_a_suspect_that_waits_for_long_for_running_jobs_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    app = slow_app()
    with caplog.at_level(logging.WARNING, "conveyor.worker"):
        async with app, app.worker(concurrency=2, stalled_interval="1h"):  # it is the test that reclaims
            long = await app.queue("work").add("rest", {"seconds": 100})
            await anyio.sleep(1)
            await app.queue("work").pause()
            suspect = await app.queue("work").add("rest", {"seconds": 1})
            store = app._services.store
            await store.sessions.open(SessionInfo("dead", "nowhere", 1, "none"), BRIEF)
            await app.queue("work").resume()
            assert len(await store.jobs.fetch_jobs([Want("work", 1)], "dead", BRIEF, fetch_number=1)) == 1
            await anyio.sleep(0.01)
            assert len(await store.jobs.reclaim_stalled_jobs(3)) == 1
            await suspect.result(timeout="10m")
    (said,) = warnings(caplog)
    assert "waits until this worker is empty" in said
    assert f"running: work/rest {long.id}" in said
