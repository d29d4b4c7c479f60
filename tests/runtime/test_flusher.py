"""The flusher: buffers are flushed when their triggers say so, and left alone for a while after a failure."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, InMemoryJobBufferStorageStrategy, JobBuffer, Retention, union
from conveyor.errors import CapabilityError, JobNotFoundError
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultyStore, line
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor import NewJob
    from conveyor.model.buffers.values import BufferedJob
    from conveyor.testing.faults import StoreCall

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def app(clock: JumpingClock) -> Conveyor:
    """An app whose loop skips all waiting, with a handler that answers when it ran, and for what."""
    app = Conveyor("memory://", clock=clock)

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> tuple[datetime, list[int]]:
        return clock.now(), ids

    return app


def register(app: Conveyor, **options: Any) -> JobBuffer:
    """Register a buffer."""
    buffer = JobBuffer("b", **{"collect": lambda _: True, "reduce": union("ids"), **options})
    app.buffers.add_buffer(buffer)
    return buffer


async def waited(app: Conveyor, clock: JumpingClock, *pauses: float) -> tuple[float, list[int]]:
    """Add a job, and one more after each pause; return how long after the first the last ran, and for what."""
    start = clock.now()
    job = await app.queue("search").add("reindex", {"ids": [0]})
    for number, pause in enumerate(pauses, 1):
        await anyio.sleep(pause)
        job = await app.queue("search").add("reindex", {"ids": [number]})
    at, ids = await job.result()
    return (at - start) / SECOND, ids


@pytest.mark.parametrize(
    ("triggers", "pauses", "after"),
    [
        ({"max_age": "30s"}, (10, 10), 30),
        ({"idle": "30s"}, (10, 10), 50),
        ({"max_jobs": 3}, (10, 10), 20),
        ({"max_bytes": 30}, (10, 10), 20),
        ({"max_age": "1 hour", "idle": "5s"}, (1,), 6),
    ],
)
async def test_a_trigger_flushes(
    app: Conveyor, clock: JumpingClock, triggers: Any, pauses: tuple[float, ...], after: float
) -> None:
    register(app, **triggers)
    async with app, app.worker():
        seconds, ids = await waited(app, clock, *pauses)
    assert after <= seconds <= after + 1.5
    assert ids == list(range(len(pauses) + 1))


async def test_a_schedule_flushes_at_its_ticks(app: Conveyor, clock: JumpingClock) -> None:
    register(app, cron="0 * * * *")
    async with app, app.worker():
        job = await app.queue("search").add("reindex", {"ids": [0]})
        at, _ = await job.result()
    assert (at.minute, at.second // 2) == (0, 0)


async def test_a_buffer_that_is_registered_later_is_flushed_too(app: Conveyor, clock: JumpingClock) -> None:
    async with app, app.worker():
        await anyio.sleep(100)
        register(app, max_age="5s")
        seconds, _ = await waited(app, clock)
    assert 5 <= seconds <= 6.5


async def test_a_reduce_that_fails_is_tried_again_after_longer_and_longer(app: Conveyor, clock: JumpingClock) -> None:
    tried: list[float] = []
    start = clock.now()

    def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        tried.append((clock.now() - start) / SECOND)
        if len(tried) < 4:
            raise ValueError("not yet")
        return jobs

    register(app, reduce=reduce, max_jobs=1)
    async with app, app.worker():
        await waited(app, clock)
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    for pause, expected in zip(pauses, (10, 20, 40), strict=True):
        assert expected <= pause <= expected + 2


async def test_a_buffer_that_nobody_here_registers_is_told_of_once(
    app: Conveyor, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = register(app)
    async with app:
        await app.queue("search").add("reindex", {"ids": [0]})
        app.buffers.remove_buffer(buffer)
        with caplog.at_level(logging.WARNING):
            async with app.worker():
                await anyio.sleep(600)
        assert await app.buffers.buffer_size() == {"b": 1}
    told = [record.getMessage() for record in caplog.records if record.name == "conveyor.buffers"]
    assert len(told) == 1
    assert "buffer b has 1 jobs" in told[0]


async def test_what_is_kept_in_memory_is_flushed_by_its_triggers_too(clock: JumpingClock) -> None:
    app = Conveyor("memory://", clock=clock, buffer_storage="memory")

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> tuple[datetime, list[int]]:
        return clock.now(), ids

    register(app, max_age="30s")
    async with app, app.worker():
        seconds, ids = await waited(app, clock, 10)
    assert (30 <= seconds <= 31.5, ids) == (True, [0, 1])


async def test_traces_go_with_the_retention_of_jobs(clock: JumpingClock) -> None:
    app = Conveyor("memory://", clock=clock, retention=Retention(max_age="1 hour"))

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> None: ...

    register(app)
    async with app, app.worker(retention_interval="10 minutes"):
        await reindex.add([0])
        merged = await reindex.add([1])
        await app.buffers.flush()
        await merged.wait_until_finished()
        await anyio.sleep(1800)
        await merged.refresh()
        await anyio.sleep(3600)
        with pytest.raises(JobNotFoundError):
            await app.jobs.get(merged.id)


async def test_where_counting_takes_long_it_is_done_seldom(
    clock: JumpingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "DELAY_SECONDS", 2.0)
    looks: list[datetime] = []

    def slow(call: StoreCall) -> FaultKind | None:
        if call.verb != "get_sizes":
            return None
        looks.append(clock.now())
        return FaultKind.DELAY

    async with open_store("memory://", clock=clock) as store:
        app = Conveyor(FaultyStore(store, slow), clock=clock)
        register(app, max_jobs=1000)

        @app.queue("search").job()
        async def reindex(ids: list[int]) -> None:
            raise AssertionError("nothing is due")

        async with app, app.worker():
            await anyio.sleep(170)
    pauses = [(later - earlier) / SECOND for earlier, later in pairwise(looks)]
    assert len(pauses) >= 3
    assert all(39 < pause < 42 for pause in pauses[:3]), pauses


class Flaky(InMemoryJobBufferStorageStrategy):
    """Fails the first time that a verb is asked of it in earnest."""

    def __init__(self, verb: str, error: Exception) -> None:
        super().__init__()
        self.verb, self.error, self.has_failed = verb, error, False

    def fail_once(self, verb: str) -> None:
        if verb == self.verb and self.buffer_storage and not self.has_failed:
            self.has_failed = True
            raise self.error

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        self.fail_once("flush")
        return await super().flush(buffer_ids)

    async def buffer_size(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, int]:
        self.fail_once("buffer_size")
        return await super().buffer_size(buffer_ids)


@pytest.mark.parametrize("verb", ["flush", "buffer_size"])
@pytest.mark.parametrize("error", [CapabilityError("shelf", "something", "flushing"), OSError("the line is cut")])
async def test_whatever_a_storage_raises_its_buffers_are_looked_at_again(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture, verb: str, error: Exception
) -> None:
    storage = Flaky(verb, error)
    app = Conveyor("memory://", clock=clock, buffer_storage=storage)

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> tuple[datetime, list[int]]:
        return clock.now(), ids

    register(app, max_jobs=1)
    async with app, app.worker():
        seconds, _ = await waited(app, clock)
    assert storage.has_failed
    assert seconds <= 12
    assert str(error) in caplog.text


class Shelf(InMemoryJobBufferStorageStrategy):
    """Keeps its jobs for whoever opens it next."""

    is_durable = True


@pytest.mark.parametrize(("triggers", "after"), [({"max_jobs": 5}, 0), ({"max_age": "30s"}, 30), ({"idle": "20s"}, 20)])
async def test_what_another_process_left_in_a_storage_is_flushed_by_triggers(
    clock: JumpingClock, triggers: Any, after: float
) -> None:
    shelf = Shelf()
    before = Conveyor("memory://", clock=clock, buffer_storage=shelf)
    register(before)
    async with before:
        for number in range(5):
            await before.queue("search").add("reindex", {"ids": [number]})
    ran: list[tuple[float, list[int]]] = []
    done = anyio.Event()
    app = Conveyor("memory://", clock=clock, buffer_storage=shelf)
    start = clock.now()

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> None:
        ran.append(((clock.now() - start) / SECOND, ids))
        done.set()

    register(app, **triggers)
    async with app, app.worker():
        await done.wait()
    ((seconds, ids),) = ran
    assert ids == [0, 1, 2, 3, 4]
    assert after <= seconds <= after + 1.5


async def test_what_nobody_here_registers_is_told_of_whatever_keeps_it(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf()
    app = Conveyor("memory://", clock=clock, buffer_storage=shelf)

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> None:
        raise AssertionError("nobody flushes it")

    async with app:
        await shelf.add("orphan", reindex.new([1]))
        async with app.worker():
            await anyio.sleep(100)
    assert "buffer orphan has 1 jobs" in caplog.text
