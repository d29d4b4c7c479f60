"""A suspect that a limit of its queue holds up: the worker neither asks for it all the time, nor keeps the others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from conveyor import Conveyor, RateLimit
from conveyor._builtin.memory.store import MemoryStore
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultyStore

pytestmark = pytest.mark.anyio

BRIEF = timedelta(seconds=1)


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


async def app_with_a_held_suspect() -> tuple[FaultyStore, Conveyor]:
    """Return an app over a store with a job that stalled, whose queue lets one start in a day; that was it."""
    clock = JumpingClock()
    counted = FaultyStore(MemoryStore(clock))
    app = Conveyor(counted, clock=clock)
    dead = "d" * 32
    async with app:
        await app.queue("seldom").set_limits(limiter=RateLimit(1, "1 day"))
        await app.queue("seldom").add("note")
        await counted.sessions.open(SessionInfo(dead, "nowhere", 1, "none"), BRIEF)
        assert len(await counted.jobs.fetch_jobs([Want("seldom", 1)], dead, BRIEF, fetch_number=1)) == 1
        await anyio.sleep(2)
        assert len(await counted.jobs.reclaim_stalled_jobs(3)) == 1
    return counted, app


async def test_it_is_asked_for_no_more_often_than_an_idle_worker_looks() -> None:
    counted, app = await app_with_a_held_suspect()

    @app.queue("seldom").job()
    async def note() -> None: ...

    async with app, app.worker(poll_interval="10s"):
        await anyio.sleep(60)
        before = counted.calls["fetch_jobs"] + counted.calls["get_suspect_queues"]
        await anyio.sleep(600)
        # In each interval: one look of the fetcher, and of the suspects a look, another once there is room, a fetch.
        asked = counted.calls["fetch_jobs"] + counted.calls["get_suspect_queues"] - before
        assert 1 <= asked <= 4 * 60 + 4


async def test_the_others_have_as_much_time_as_room_was_made_for_it() -> None:
    _, app = await app_with_a_held_suspect()

    @app.queue("seldom").job()
    async def note() -> None: ...

    @app.queue("often").job()
    async def hold() -> None:
        await anyio.sleep(100)

    @app.queue("often").job()
    async def pass_by() -> None: ...

    async with app, app.worker(poll_interval="1s", concurrency=2):
        # The first holds the worker up for as long as it takes: room is made beside it.
        await (await hold.add()).result(timeout="10m")
        began_at = anyio.current_time()
        await hold.add()
        for _ in range(9):
            await (await pass_by.add()).result(timeout="10m")
            await anyio.sleep(10)
        assert anyio.current_time() - began_at < 95
