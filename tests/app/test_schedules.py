"""Schedules of an app: declared in code or made at run time, fired by its workers, changed and removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor._builtin.memory.store import MemoryStore
from conveyor.errors import CapabilityError, ConfigurationError, PayloadError, ScheduleNotFoundError
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultyStore

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def app(clock: JumpingClock) -> Conveyor:
    """An app whose loop skips all waiting; it has nothing in other threads, where a loop could not see it."""
    return Conveyor("memory://", clock=clock)


async def test_a_declared_schedule_runs_its_job_at_each_tick(app: Conveyor, clock: JumpingClock) -> None:
    ran: list[datetime] = []
    done = anyio.Event()

    @app.queue("work").job()
    async def sweep(floor: int) -> None:
        ran.append(clock.now())
        if len(ran) == 3:
            done.set()

    assert app.queue("work").every("1 minute", "sweep", {"floor": 2}) == "work:sweep"
    async with app, app.worker():
        made_at = (await app.schedules.get("work:sweep")).state.created_at
        await done.wait()
    assert [round((at - made_at) / MINUTE, 2) for at in ran] == [1, 2, 3]


async def test_an_hour_of_the_day_is_that_of_its_zone(app: Conveyor) -> None:
    @app.queue("work").job()
    async def report() -> None: ...

    app.queue("work").cron("0 9 * * *", report.new(), id="daily", tz="Europe/Berlin")
    async with app:
        fires = await app.schedules.next_fires("daily", 2)
    assert [fire.astimezone(UTC).hour for fire in fires] == [8, 8]


async def test_two_workers_fire_each_tick_once(app: Conveyor) -> None:
    ran: list[str] = []
    done = anyio.Event()

    @app.queue("work").job()
    async def sweep() -> None:
        ran.append("sweep")
        if len(ran) == 20:
            done.set()

    app.queue("work").every(1, "sweep", limit=20)
    async with app, app.worker(), app.worker():
        await done.wait()
        assert (await app.schedules.get("work:sweep")).state.next_run_at is None
        assert await app.queue("work").count(JobState.WAITING) == 0
    assert len(ran) == 20


async def test_a_schedule_goes_on_after_failures(app: Conveyor) -> None:
    ran: list[int] = []
    done = anyio.Event()

    @app.queue("work").job()
    async def sweep() -> None:
        ran.append(1)
        if len(ran) == 3:
            done.set()
        raise ValueError("broken")

    app.queue("work").every("1 minute", "sweep")
    async with app, app.worker():
        await done.wait()


async def test_a_worker_is_woken_by_a_schedule_that_is_made_meanwhile(app: Conveyor, clock: JumpingClock) -> None:
    done = anyio.Event()

    @app.queue("work").job()
    async def sweep() -> None:
        done.set()

    async with app, app.worker():
        await anyio.sleep(5)
        begun = clock.now()
        await app.schedules.upsert("a", sweep.new(), every=2)
        await done.wait()
        assert clock.now() - begun < timedelta(seconds=3)


async def test_pause_resume_run_now_and_remove(app: Conveyor, clock: JumpingClock) -> None:
    @app.queue("work").job()
    async def sweep(floor: int) -> int:
        return floor

    async with app, app.worker():
        made = await app.schedules.upsert("a", sweep.new(4), every="1 hour", limit=1)
        assert (await app.schedules.pause("a")).due_at is None
        assert await app.schedules.next_fires("a") == []
        assert await (await app.schedules.run_now("a")).result(timeout="10s") == 4
        assert await app.schedules.next_fires("a") == []
        resumed = await app.schedules.resume("a")
        assert resumed.due_at == made.due_at
        assert list(await app.schedules.next_fires("a", 9)) == [made.due_at]
        await app.schedules.remove("a")
        with pytest.raises(ScheduleNotFoundError):
            await app.schedules.get("a")


async def test_an_idle_worker_with_many_schedules_asks_the_store_nothing(clock: JumpingClock) -> None:
    counted = FaultyStore(MemoryStore(clock))
    app = Conveyor(counted, clock=clock)

    @app.queue("work").job()
    async def sweep() -> None: ...

    for number in range(1000):
        app.queue("work").every("2 hours", "sweep", id=f"{number}")
    async with app, app.worker():
        await anyio.sleep(1)
        before = counted.calls["fire_schedules"]
        await anyio.sleep(3600)
        # One look a minute, in case a hint was lost.
        assert counted.calls["fire_schedules"] - before <= 61
        await anyio.sleep(3600)
        assert (await app.schedules.get("0")).state.fired_count == 1
        assert await app.queue("work").count(JobState.COMPLETED) == 1000


async def test_arguments_that_do_not_fit_are_refused_when_they_are_given(app: Conveyor) -> None:
    @app.queue("work").job()
    async def sweep(floor: int) -> None: ...

    with pytest.raises(PayloadError, match="floor"):
        app.queue("work").every("1 hour", "sweep", {"floor": "ground"})


async def test_arguments_are_checked_again_once_all_handlers_are_known(app: Conveyor) -> None:
    app.queue("work").every("1 hour", "sweep", {"floor": "ground"})

    @app.queue("work").job()
    async def sweep(floor: int) -> None: ...

    with pytest.raises(PayloadError, match="floor"):
        async with app:
            pass


@pytest.mark.parametrize(
    "options",
    [{"delay": 5}, {"run_at": datetime(2030, 1, 1, tzinfo=UTC)}, {"job_id": str(uuid4())}],
)
async def test_a_job_with_a_time_or_an_id_of_its_own_is_refused(app: Conveyor, options: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{next(iter(options))} .*does not fit"):
        app.queue("work").every("1 hour", app.queue("work").new("sweep", **options))


async def test_a_schedule_says_in_words_when_it_fires(app: Conveyor) -> None:
    async with app:
        made = await app.schedules.upsert("a", app.queue("work").new("sweep"), every="90 minutes")
        assert made.in_words == (await app.schedules.get("a")).in_words == "every 1 hour 30 minutes"


async def test_an_end_that_is_over_by_the_clock_of_the_app_is_refused(app: Conveyor, clock: JumpingClock) -> None:
    async with app:
        soon = clock.now() + timedelta(hours=1)
        await app.schedules.upsert("a", app.queue("work").new("sweep"), every=60, end=soon)
        await app.schedules.remove("a")
        over = clock.now() - timedelta(seconds=1)
        with pytest.raises(ConfigurationError, match=r"end \(.*\) is over"):
            await app.schedules.upsert("a", app.queue("work").new("sweep"), every=60, end=over)
        assert await app.schedules.list() == []


async def test_declarations_that_clash_or_come_too_late_are_refused(app: Conveyor) -> None:
    queue = app.queue("work")
    queue.every("1 hour", "sweep")
    with pytest.raises(ConfigurationError, match=r"'work:sweep' is declared already"):
        queue.cron("0 9 * * *", "sweep")
    with pytest.raises(ConfigurationError, match="is for queue 'other'"):
        queue.every("1 hour", app.queue("other").new("sweep"))
    with pytest.raises(ConfigurationError, match="takes no data"):
        queue.every("1 hour", queue.new("sweep"), {"floor": 2})
    async with app:
        with pytest.raises(ConfigurationError, match=r"await app\.schedules\.upsert"):
            queue.every("1 hour", "other")
        with pytest.raises(ConfigurationError, match="either every or cron"):
            await app.schedules.upsert("a", queue.new("sweep"))
        with pytest.raises(ConfigurationError, match="made with new"):
            await app.schedules.upsert("a", "sweep", every=60)  # type: ignore[arg-type]  # so it is
        with pytest.raises(ConfigurationError, match="count"):
            await app.schedules.next_fires("work:sweep", 0)


async def test_a_group_that_the_store_has_not_is_refused_when_it_is_given(clock: JumpingClock) -> None:
    store = MemoryStore(clock)
    store.limits = None  # type: ignore[assignment]  # as a store that lacks the facet
    app = Conveyor(store)
    async with app:
        with pytest.raises(CapabilityError, match="group="):
            await app.schedules.upsert("a", app.queue("work").new("sweep", group="ada"), every=60)
        assert list(await app.schedules.list()) == []


async def test_a_store_without_schedules_says_so(clock: JumpingClock) -> None:
    store = MemoryStore(clock)
    store.schedules = None  # type: ignore[assignment]  # as a store that lacks the facet
    app = Conveyor(store)

    @app.queue("work").job()
    async def sweep() -> str:
        return "swept"

    async with app, app.worker():
        assert await (await sweep.add()).result(timeout="10s") == "swept"
        with pytest.raises(CapabilityError, match="schedules"):
            await app.schedules.list()
    app.queue("work").every("1 hour", "sweep")
    with pytest.raises(CapabilityError, match="schedules"):
        async with app:
            pass
