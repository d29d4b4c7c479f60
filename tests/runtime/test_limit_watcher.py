"""What a worker asks about limits: nothing while it is idle, and again once jobs come, though a hint was lost."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from conveyor import Conveyor, GroupLimits, RateLimit
from conveyor._builtin.memory.store import MemoryStore
from conveyor.model.limits import QueueLimits
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultScript, FaultyStore

pytestmark = pytest.mark.anyio

ABOUT_LIMITS = ("get_guarded_queues", "get_limits", "get_next_room_timestamp")


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


def deaf_app() -> tuple[FaultyStore, Conveyor]:
    """Return an app over a store that publishes no hints, and counts what it is asked."""
    clock = JumpingClock()
    memory = MemoryStore(clock)
    memory.notifier = None  # type: ignore[assignment] # as a store without the facet
    counted = FaultyStore(memory)
    app = Conveyor(counted, clock=clock)

    @app.queue("work").job()
    async def note() -> str:
        return "ran"

    return counted, app


def asked(counted: FaultyStore) -> int:
    return sum(counted.calls[verb] for verb in ABOUT_LIMITS)


async def test_an_idle_worker_asks_nothing_about_limits() -> None:
    counted, app = deaf_app()
    async with app, app.worker(poll_interval="1s"):
        await (await app.queue("work").add("note")).result(timeout="10s")
        await anyio.sleep(5)
        before = asked(counted)
        await anyio.sleep(3600)
        assert asked(counted) == before


async def test_limits_whose_hint_was_lost_are_learned_once_a_job_comes() -> None:
    counted, app = deaf_app()
    limits = counted.limits
    assert limits is not None
    async with app, app.worker(poll_interval="1s"):
        await anyio.sleep(5)
        await limits.set_limits("work", QueueLimits(max_global_concurrency=1))
        before = counted.calls["get_limits"]
        await (await app.queue("work").add("note")).result(timeout="10s")
        await anyio.sleep(5)
        assert counted.calls["get_limits"] > before


@pytest.mark.timeout(30)
async def test_a_worker_without_a_free_slot_is_not_told_again_and_again_that_there_is_room() -> None:
    clock = JumpingClock()
    counted = FaultyStore(MemoryStore(clock))
    app = Conveyor(counted, clock=clock)

    @app.queue("work").job()
    async def note() -> None: ...

    @app.queue("other").job()
    async def hold() -> None:
        await anyio.sleep(100)

    async with app:
        await app.queue("work").set_limits(group=GroupLimits(limiter=RateLimit(1, "2s")))
        async with app.worker(concurrency=2, poll_interval="10s"):
            jobs = [await note.options(group="acme").add() for _ in range(2)]
            await anyio.sleep(1)
            # Both slots are taken when the second may start.
            holds = [await hold.add() for _ in range(2)]
            await anyio.sleep(1.5)
            before = asked(counted)
            await anyio.sleep(90)
            # A look in each of nine intervals, maybe with one at the limits themselves.
            assert asked(counted) - before <= 2 * 9
            for job in (*jobs, *holds):
                await job.result(timeout="300s")


async def test_room_that_came_before_anybody_asked_for_it_is_used() -> None:
    clock = JumpingClock()
    script = FaultScript()
    app = Conveyor(FaultyStore(MemoryStore(clock), script), clock=clock)

    @app.queue("work").job()
    async def note() -> None: ...

    async with app:
        await app.queue("work").set_limits(limiter=RateLimit(1, "300ms"))
        async with app.worker(poll_interval="1h"):
            await anyio.sleep(5)
            # Asked again later than the rate has room, the store tells of no time to come.
            script.spoil("get_next_room_timestamp", 3)
            first, second = await note.add(), await note.add()
            await first.result(timeout="10s")
            await second.result(timeout="1 minute")


async def test_room_that_came_before_anybody_asked_is_used_though_another_queue_has_some_later() -> None:
    clock = JumpingClock()
    script = FaultScript()
    app = Conveyor(FaultyStore(MemoryStore(clock), script), clock=clock)

    @app.queue("work").job()
    async def note() -> None: ...

    @app.queue("seldom").job()
    async def rest() -> None: ...

    async with app:
        await app.queue("work").set_limits(limiter=RateLimit(1, "300ms"))
        await app.queue("seldom").set_limits(limiter=RateLimit(1, "1 day"))
        async with app.worker(poll_interval="1h"):
            await (await rest.add()).result(timeout="10s")
            await rest.add()
            await anyio.sleep(5)
            # Asked again later than one rate has room, the store tells when the other has.
            script.spoil("get_next_room_timestamp", 3)
            first, second = await note.add(), await note.add()
            await first.result(timeout="10s")
            await second.result(timeout="1 minute")
