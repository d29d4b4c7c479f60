"""Limits and groups as users meet them: declared by workers, changed at run time, felt by jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, Flow, Group, GroupLimits, NameLimits, RateLimit, Retry
from conveyor._builtin.memory.store import MemoryStore
from conveyor._builtin.system_clock import SystemClock
from conveyor.errors import CapabilityError, ConfigurationError, FlowError, GroupFullError
from conveyor.model.job import AttemptOutcome
from conveyor.model.limits import QueueLimits
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

# Nothing in these tests may be found by looking again.
FAR: Any = {"poll_interval": "10 minutes", "prefetch": 50}


class Gate:
    """A handler that stays until it is let go, and how many of it run."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.started: list[str] = []
        self._limiter = anyio.Semaphore(0)
        self._changed = anyio.Event()

    async def run(self, name: str) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.started.append(name)
        self._tell()
        try:
            await self._limiter.acquire()
        finally:
            self.running -= 1
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for this to hold after some run began or ended."""
        with anyio.fail_after(10):
            while not condition():
                await self._changed.wait()

    def let_go(self, count: int = 1) -> None:
        for _ in range(count):
            self._limiter.release()


async def test_two_workers_run_no_more_than_may_and_each_hears_when_the_other_is_done(app: Conveyor) -> None:
    gate = Gate()
    work = app.queue("work")
    work.job(name="wait")(gate.run)
    options = {"concurrency": 5, "max_global_concurrency": 3, **FAR}
    async with app, app.worker(**options), app.worker(**options):
        jobs = [await work.add("wait", {"name": str(number)}) for number in range(9)]
        await gate.until(lambda: gate.running == 3)
        for done in range(1, 10):
            gate.let_go()
            await gate.until(lambda done=done: len(gate.started) == min(9, 3 + done))  # type: ignore[misc]
        for job in jobs:
            await job.result(timeout="10s")
    assert gate.most == 3


async def test_a_rate_wakes_the_worker_when_it_has_room(app: Conveyor) -> None:
    started: list[float] = []
    work = app.queue("work")

    @work.job()
    async def note() -> None:
        started.append(anyio.current_time())

    async with app, app.worker(limiter=RateLimit(2, "200ms"), **FAR):
        for job in await note.add_many([note.new() for _ in range(6)]):
            await job.result(timeout="10s")
    assert len(started) == 6
    # Handlers start a little after their jobs were locked, so only the whole is certain.
    assert started[-1] - started[0] > 0.2


async def test_changed_limits_are_heard(app: Conveyor) -> None:
    gate = Gate()
    work = app.queue("work")
    work.job(name="wait")(gate.run)
    async with app, app.worker(concurrency=5, max_global_concurrency=1, **FAR):
        for number in range(5):
            await work.add("wait", {"name": str(number)})
        await gate.until(lambda: gate.running == 1)
        await work.set_limits(max_global_concurrency=4)
        await gate.until(lambda: gate.running == 4)
        await work.set_limits()
        await gate.until(lambda: gate.running == 5)
        gate.let_go(5)


async def test_a_worker_that_declares_other_limits_is_refused_with_both_values(app: Conveyor) -> None:
    work = app.queue("work")

    @work.job()
    async def note() -> None: ...

    async with app:
        await work.set_limits(max_global_concurrency=4)
        with pytest.raises(ConfigurationError, match=r"max_global_concurrency=3.*max_global_concurrency=4"):
            async with app.worker(max_global_concurrency=3):
                raise AssertionError("it must not open")
        async with app.worker(max_global_concurrency=4, limiter=RateLimit(100, "1s")):
            report = await work.limits()
        assert report.limits == QueueLimits(4, RateLimit(100, "1s"))
        async with app.worker():  # declares nothing, and keeps to what holds
            await (await note.add()).result(timeout="10s")


@pytest.mark.parametrize(
    "wrong", [{"max_global_concurrency": 0}, {"limiter": 5}, {"group": GroupLimits}, {"limiter": "5/s"}]
)
def test_a_worker_with_limits_that_make_no_sense_is_refused(wrong: Any) -> None:
    app = Conveyor("memory://")

    async def open_it() -> None:
        async with app, app.worker(**wrong):
            raise AssertionError("it must not open")

    @app.queue("work").job()
    async def note() -> None: ...

    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        anyio.run(open_it)


async def test_jobs_of_groups_are_not_prefetched(app: Conveyor) -> None:
    gate = Gate()
    work = app.queue("work")
    work.job(name="wait")(gate.run)
    async with app:
        for number in range(6):
            await work.add("wait", {"name": str(number)}, group=f"tenant-{number % 2}")
        async with app.worker(concurrency=2, **FAR):
            await gate.until(lambda: gate.running == 2)
            await anyio.wait_all_tasks_blocked()
            assert await work.count("active") == 2
            counts = await work.group_counts("tenant-0")
            assert (counts.waiting, counts.active) == (2, 1)
            gate.let_go(6)
            await gate.until(lambda: len(gate.started) == 6)


async def test_names_have_limits_of_their_own(app: Conveyor) -> None:
    gate = Gate()
    work = app.queue("work")
    work.job(name="slow")(gate.run)
    work.job(name="quick")(gate.run)
    async with app:
        await work.set_limits(names={"slow": NameLimits(concurrency=1)})
        for number in range(3):
            await work.add("slow", {"name": f"slow-{number}"})
        await work.add("quick", {"name": "quick"})
        async with app.worker(**FAR):
            await gate.until(lambda: set(gate.started) == {"slow-0", "quick"})
            (usage,) = (await work.limits()).usages
            assert (usage.key, usage.used, usage.max, usage.waiting, usage.is_full) == ("slow", 1, 1, 2, True)
            gate.let_go(4)
            await gate.until(lambda: len(gate.started) == 4)
    assert gate.most == 2


async def test_a_full_group_is_a_named_error_and_adds_nothing(app: Conveyor) -> None:
    work = app.queue("work", group=Group("acme", max_size=2))

    @work.job()
    async def note() -> None: ...

    async with app:
        await note.add()
        await note.add()
        with pytest.raises(GroupFullError, match="2 jobs of group 'acme' wait") as refused:
            await note.add()
        assert (refused.value.group_id, refused.value.max_size, refused.value.queue_name) == ("acme", 2, "work")
        jobs = [note.options(group="other").new(), note.new(), note.new()]
        with pytest.raises(GroupFullError, match="1 of the 3 jobs were added") as refused:
            await note.add_many(jobs)
        assert (refused.value.job_id, refused.value.added_ids) == (jobs[1].id, (jobs[0].id,))
        assert refused.value.refused_ids == (jobs[1].id, jobs[2].id)
        assert await work.count("waiting") == 3
        await note.options(group=None).add()


async def test_a_flow_takes_no_group_with_a_size(app: Conveyor) -> None:
    work = app.queue("work", group=Group("acme", max_size=2))

    @work.job()
    async def note() -> None: ...

    async with app:
        with pytest.raises(FlowError, match="max_size"):
            await app.flows.add(Flow(note.new(), children=[note.new()]))
        assert await work.count("waiting") == 0


async def test_a_retry_that_says_when_costs_no_attempt_in_a_queue_with_limits(app: Conveyor) -> None:
    asked = 0
    work = app.queue("work", attempts=2)

    @work.job()
    async def call() -> str | Retry:
        nonlocal asked
        asked += 1
        return "done" if asked == 4 else Retry(after="1ms", reason="429 too many requests")

    async with app, app.worker(limiter=RateLimit(1000, "1s")):
        await anyio.wait_all_tasks_blocked()
        job = await call.add()
        assert await job.result(timeout="10s") == "done"
        attempts = await job.attempts()
    assert [attempt.outcome for attempt in attempts[:3]] == [AttemptOutcome.RETRIED] * 3
    assert [attempt.number for attempt in attempts] == [1, 1, 1, 1]


async def test_a_retry_costs_an_attempt_elsewhere(app: Conveyor) -> None:
    @app.queue("work", attempts=2).job()
    async def call() -> Retry:
        return Retry(after="1ms")

    async with app, app.worker():
        job = await call.add()
        await job.wait_until_finished(timeout="10s")
    assert job.state is JobState.FAILED


async def test_a_store_without_limits_refuses_them_by_name() -> None:
    store = MemoryStore(SystemClock())
    store.limits = None  # type: ignore[assignment]
    app = Conveyor(store)

    @app.queue("work").job()
    async def note() -> None: ...

    async with app:
        for refused in (
            note.options(group="acme").add(),
            note.add_many([note.options(group="acme").new()]),
            app.queue("work").set_limits(max_global_concurrency=1),
            app.queue("work").limits(),
            app.queue("work").group_counts("acme"),
            app.worker(max_global_concurrency=1).__aenter__(),
        ):
            with pytest.raises(CapabilityError, match="limits"):
                await refused
        async with app.worker():
            await (await note.add()).result(timeout="10s")
