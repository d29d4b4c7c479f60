"""Event feeds over a store that fails, and one whose watch ended: nothing is missing without a word."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, EventKind
from conveyor._builtin.memory.event_log import EventLog
from conveyor._builtin.memory.store import MemoryStore
from conveyor._runtime.event_feeds import WATCH
from conveyor.model.events import EVENTS_KEPT_FOR
from conveyor.testing.clocks import JumpingClock, ManualClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import EventStream

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def kinds_until(stream: EventStream, last: EventKind) -> Sequence[str]:
    """Return the kinds of the events up to the first of one."""
    found: list[str] = []
    with anyio.fail_after(60):
        async for event in stream:
            found.append(event.kind)
            if event.kind is last:
                break
    return found


@pytest.mark.parametrize("verb", ["watch_events", "read_events", "prune_events"])
@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
async def test_calls_that_fail_for_a_while_lose_no_event(verb: str, kind: FaultKind) -> None:
    store = FaultyStore(MemoryStore(clock := JumpingClock()), script := FaultScript())
    app = Conveyor(store, clock=clock)
    script.spoil(verb, 2, kind)
    async with app, app.queue("mails").events() as stream:
        job = await app.queue("mails").add("send")
        await anyio.sleep(WATCH.total_seconds())
        await job.cancel()
        assert await kinds_until(stream, EventKind.CANCELLED) == ["added", "cancelled"]


async def test_a_watch_that_ended_meanwhile_is_told_as_a_gap() -> None:
    store = FaultyStore(MemoryStore(clock := JumpingClock()))
    app = Conveyor(store, clock=clock)
    queue = app.queue("mails")
    async with app, queue.events() as stream:
        # As after a process was stopped for so long: others have pruned it.
        memory = store.store
        assert memory.events is not None
        for watcher_id in list(memory.events._watchers):  # type: ignore[attr-defined]
            await memory.events.unwatch_events(watcher_id)
        await queue.add("send")
        await anyio.sleep(WATCH.total_seconds())
        await queue.pause()
        assert await kinds_until(stream, EventKind.PAUSED) == ["lost", "paused"]


async def test_leaving_ends_the_watch_and_what_it_costs() -> None:
    store = MemoryStore(JumpingClock())
    app = Conveyor(store)
    queue = app.queue("mails")
    async with app:
        async with queue.events(), queue.events():
            pass
        await queue.add("send")
        assert store.jobs._tables.log.last == 0


async def test_a_log_that_is_full_forgets_its_oldest_and_says_how_many() -> None:
    log = EventLog((clock := ManualClock()).now, kept=3)
    for number in range(8):
        log.told(EventKind.DRAINED, "mails", count=number)
    page = log.read("mails", 0, 100)
    assert page.lost_count + len(page.events) == 8
    assert [event.count for event in page.events] == list(range(page.lost_count, 8))
    clock.advance(EVENTS_KEPT_FOR + timedelta(seconds=1))
    log.told(EventKind.DRAINED, "mails", count=8)
    log.forget_old(clock.now() - EVENTS_KEPT_FOR)
    page = log.read("mails", int(page.cursor), 100)
    assert ([event.count for event in page.events], page.lost_count) == ([8], 0)
