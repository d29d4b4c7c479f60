"""The ticker over a store that fails, and without hints: each tick fires once, and in time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor._builtin.memory.store import MemoryStore
from conveyor._services.maintenance.fire import CHUNK, fire_due_schedules
from conveyor.model.options import JobOptions
from conveyor.model.schedules.parsing import parse_rule
from conveyor.model.schedules.values import ScheduleSpec
from conveyor.testing.clocks import JumpingClock, ManualClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def ticks_of(store: Store, count: int) -> list[datetime]:
    """Run a schedule of a minute until it fired so often; return when its jobs ran."""
    app = Conveyor(store, clock=(clock := JumpingClock()))
    ran: list[datetime] = []
    done = anyio.Event()

    @app.queue("work").job()
    async def sweep() -> None:
        ran.append(clock.now())
        if len(ran) == count:
            done.set()

    app.queue("work").every("1 minute", "sweep")
    async with app, app.worker():
        with anyio.fail_after(3600):
            await done.wait()
    return ran


def minutes(ran: list[datetime]) -> list[int]:
    """Return how many minutes after the first each was."""
    return [round((at - ran[0]).total_seconds() / 60) for at in ran]


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
async def test_a_tick_is_fired_once_whichever_call_fails(kind: FaultKind) -> None:
    script = FaultScript()
    for verb in ("fire_schedules", "list_schedules"):
        script.spoil(verb, 2, kind)
    store = FaultyStore(MemoryStore(JumpingClock()), script)
    assert minutes(await ticks_of(store, 3)) == [0, 1, 2]


async def test_ticks_come_in_time_where_no_hint_ever_comes() -> None:
    store = MemoryStore(JumpingClock())
    store.notifier = None  # type: ignore[assignment]  # as a store that lacks the facet
    assert minutes(await ticks_of(store, 3)) == [0, 1, 2]


async def test_a_burst_fires_what_is_due_before_it_ends() -> None:
    clock = JumpingClock()
    store = MemoryStore(clock)
    app = Conveyor(store, clock=clock)
    ran: list[str] = []

    @app.queue("work").job()
    async def sweep() -> None:
        ran.append("swept")

    app.queue("work").every("1 hour", "sweep")
    async with app:
        await anyio.sleep(3601)
        async with app._open_worker((), {}) as worker:
            await worker.drained()
    assert ran == ["swept"]


async def test_the_pass_fires_chunk_after_chunk() -> None:
    clock = ManualClock()
    counted = FaultyStore(MemoryStore(clock))
    rule = parse_rule({"every": 60})
    specs = [ScheduleSpec(str(n), "work", "sweep", b"{}", JobOptions(), rule) for n in range(2 * CHUNK + 1)]
    assert counted.schedules is not None
    await counted.schedules.upsert_schedules(specs)
    clock.advance(61)
    wait = await fire_due_schedules(counted.schedules)
    assert wait is not None
    assert wait.total_seconds() == 59
    assert counted.calls["fire_schedules"] == 3
    assert await counted.queues.count_jobs("work", JobState.WAITING) == len(specs)


async def test_a_schedule_that_is_made_with_a_past_start_fires_from_now_on() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    rule = parse_rule({"every": 60, "start": datetime(2020, 1, 1, tzinfo=UTC), "missed": "all"})
    await store.schedules.upsert_schedules([ScheduleSpec("a", "work", "sweep", b"{}", JobOptions(), rule)])
    wait = await fire_due_schedules(store.schedules)
    assert wait is not None
    assert wait.total_seconds() == 60
