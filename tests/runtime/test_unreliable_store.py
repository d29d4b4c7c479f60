"""A worker over a store that fails now and then: everything still runs once, and nothing gets stuck."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor._runtime import transient
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore
from conveyor.testing.stores import open_store
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture(autouse=True)
def _retry_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transient, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(transient, "LONGEST_WAIT_SECONDS", 0.02)


async def until(condition: Callable[[], object]) -> None:
    """Look until a plain condition holds."""

    async def holds() -> object:
        return condition()

    await eventually(holds)


class Spoiled(FaultyStore):
    """A store whose calls fail when a test says so."""

    def __init__(self, store: Store) -> None:
        self.script = FaultScript()
        super().__init__(store, self.script)


@asynccontextmanager
async def spoiled_app() -> AsyncIterator[tuple[Spoiled, Conveyor]]:
    """Open an app over a memory store that can be spoiled."""
    clock = JumpingClock()
    async with open_store("memory://", clock=clock) as store:
        spoiled = Spoiled(store)
        app = Conveyor(spoiled, clock=clock)
        async with app:
            yield spoiled, app


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
@pytest.mark.parametrize("method", ["fetch_jobs", "settle_jobs", "release_locks", "open", "promote_delayed_jobs"])
async def test_every_job_runs_once_though_calls_fail(method: str, kind: FaultKind) -> None:
    async with spoiled_app() as (spoiled, app):
        ran: list[int] = []

        @app.queue("work").job()
        async def note(number: int) -> None:
            ran.append(number)

        spoiled.script.spoil(method, 3, kind)
        jobs = await note.add_many([note.new(number) for number in range(100)])
        jobs.append(await note.options(delay="10ms").add(100))
        async with app.worker(concurrency=5):
            for job in jobs:
                await job.result(timeout="10s")
        assert sorted(ran) == list(range(101))
        for job in jobs:
            assert [attempt.outcome for attempt in await job.attempts()] == ["completed"]


async def test_a_worker_that_cannot_renew_stops_its_handlers_before_the_lock_ends() -> None:
    async with spoiled_app() as (spoiled, app):
        stopped_at: list[float] = []
        started = anyio.Event()

        @app.queue("work").job()
        async def hang() -> None:
            started.set()
            try:
                await anyio.sleep_forever()
            finally:
                stopped_at.append(anyio.current_time())

        async with app.worker(lock_duration="300ms", stalled_interval="1h"):
            job = await hang.add()
            await started.wait()
            began = anyio.current_time()
            for method in ("extend_locks", "renew", "fetch_jobs", "release_locks"):
                spoiled.script.spoil(method, 1000)
            await until(lambda: stopped_at)
            assert stopped_at[0] - began < 0.3
            assert (await job.refresh()).state is JobState.ACTIVE
            for method in ("extend_locks", "renew", "fetch_jobs", "release_locks"):
                spoiled.script.spoil(method, 0)


async def test_a_long_job_keeps_its_lock_by_renewal() -> None:
    async with spoiled_app() as (spoiled, app):

        @app.queue("work").job()
        async def take_long() -> str:
            await anyio.sleep(0.4)
            return "still mine"

        async with app.worker(lock_duration="120ms", stalled_interval="10ms"):
            job = await take_long.add()
            assert await job.result(timeout="10s") == "still mine"
        assert spoiled.calls["extend_locks"] >= 3
        assert job.data.stalled_count == 0


async def test_a_job_taken_away_by_an_operator_stops_at_once() -> None:
    async with spoiled_app() as (spoiled, app):
        started, ended = anyio.Event(), anyio.Event()

        @app.queue("work").job()
        async def hang() -> None:
            started.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

        async with app.worker(lock_duration="1 hour"):
            job = await hang.add()
            await started.wait()
            with anyio.fail_after(1):
                await job.cancel()
                await ended.wait()
        assert spoiled.calls["extend_locks"] == 1


async def test_a_forgotten_session_is_opened_again() -> None:
    async with spoiled_app() as (spoiled, app):

        @app.queue("work").job()
        async def note() -> str:
            return "ran"

        async with app.worker() as _:
            (session,) = await spoiled.store.sessions.list_sessions()
            await spoiled.store.sessions.close(session.id)
            assert await (await note.add()).result(timeout="10s") == "ran"


async def test_jobs_fetched_ahead_that_do_not_start_go_back() -> None:
    async with spoiled_app() as (_, app):
        release = anyio.Event()

        @app.queue("work").job()
        async def hold() -> None:
            await release.wait()

        await hold.add_many([hold.new() for _ in range(10)])
        async with app.worker(concurrency=2, prefetch=4):

            async def count_active() -> int:
                return await app.queue("work").count(JobState.ACTIVE)

            active: list[int] = []

            async def has_fallen() -> bool:
                active.append(await count_active())
                return active[-1] == 2 and 6 in active

            await eventually(has_fallen)
            release.set()


async def test_an_idle_worker_asks_nothing() -> None:
    async with spoiled_app() as (spoiled, app):

        @app.queue("work").job()
        async def note() -> None: ...

        async with app.worker(poll_interval="1h", stalled_interval="1h", lock_duration="1h"):
            await (await note.add()).result(timeout="10s")
            await anyio.sleep(0.2)  # the looks that the last hint led to
            before = dict(spoiled.calls)
            await anyio.sleep(0.3)
            assert dict(spoiled.calls) == before


async def test_queues_share_a_worker_by_weight() -> None:
    async with spoiled_app() as (_, app):
        ran: list[str] = []
        for name in ("often", "seldom"):

            @app.queue(name).job(name="note")
            async def note(queue: str) -> None:
                ran.append(queue)

            await app.queue(name).add_many([app.queue(name).new("note", {"queue": name}) for _ in range(90)])
        async with app.worker({"often": 3, "seldom": 1}, concurrency=4, prefetch=0):
            await until(lambda: len(ran) == 180)
        assert 20 <= ran[:100].count("seldom") <= 30


async def test_two_thousand_sleepers_share_a_thousand_slots() -> None:
    async with spoiled_app() as (_, app):
        running = most = 0

        @app.queue("work").job()
        async def sleep() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await anyio.sleep(0.05)
            running -= 1

        jobs = await sleep.add_many([sleep.new() for _ in range(2000)])
        async with app.worker(concurrency=1000):
            for job in jobs:
                await job.wait_until_finished(timeout=timedelta(seconds=20))
        assert most == 1000
