"""A store that is gone for minutes: the worker waits, says so sparingly, and goes on by itself."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor
from conveyor.errors import JobFailedError, StoreError, StoreUnavailableError
from conveyor.model.job import AttemptOutcome
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultyStore
from conveyor.testing.stores import open_store
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from conveyor.model.settlement import Settlement
    from conveyor.testing.faults import FaultPlan, StoreCall

pytestmark = pytest.mark.anyio

TEN_MINUTES = 600.0
POLL_SECONDS = 5.0


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


class Switch:
    """A plan of faults that a test turns on and off; `spares` are verbs that work all the same."""

    def __init__(self) -> None:
        self.is_gone = False
        self.spares: Sequence[str] = ()

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        """Refuse every call while the store is gone."""
        return FaultKind.FAIL_BEFORE if self.is_gone and call.verb not in self.spares else None


@asynccontextmanager
async def app_over(plan: FaultPlan) -> AsyncIterator[Conveyor]:
    """Open an app over a memory store that fails as planned."""
    clock = JumpingClock()
    async with open_store("memory://", clock=clock) as store:
        app = Conveyor(FaultyStore(store, plan), clock=clock)
        async with app:
            yield app


def lines_about_the_store(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what an operator reads of the outage."""
    return [record.message for record in caplog.records if record.name == "conveyor.store" and record.levelno > 10]


async def test_ten_minutes_without_a_store_are_survived_and_told_of_in_few_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    switch = Switch()
    async with app_over(switch) as app:
        runs: list[str] = []
        started, ended = anyio.Event(), anyio.Event()

        @app.queue("work").job()
        async def note(name: str) -> str:
            runs.append(name)
            return name

        @app.queue("work").job()
        async def hold() -> None:
            if started.is_set():
                return  # its second run: of a suspect, it would hold up the other job
            started.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

        async with app.worker(poll_interval=POLL_SECONDS, lock_duration="30s"):
            held = await hold.add()
            waiting = await note.options(delay="1 minute").add("due meanwhile")
            await started.wait()
            switch.is_gone = True
            began = anyio.current_time()
            with pytest.raises(StoreUnavailableError):
                await note.add("refused")
            await ended.wait()
            assert anyio.current_time() - began < 30
            await anyio.sleep(TEN_MINUTES)
            switch.is_gone = False
            back = anyio.current_time()
            assert await waiting.result(timeout=POLL_SECONDS) == "due meanwhile"
            assert anyio.current_time() - back <= POLL_SECONDS
            # Handed back, or taken as stalled, whichever came first.
            await held.result(timeout=TEN_MINUTES)
            await anyio.sleep(TEN_MINUTES)
        assert runs == ["due meanwhile"]
    lines = lines_about_the_store(caplog)
    assert "trying again until the store can be used" in lines[0]
    # After 10, 30, 70, 150, 310 seconds; the next would come at 630.
    assert ["cannot be used since" in line for line in lines[1:-1]] == [True] * 5
    assert "can be used again, after 6" in lines[-1]


async def test_an_outage_goes_on_where_reading_works_and_writing_does_not(caplog: pytest.LogCaptureFixture) -> None:
    switch = Switch()
    switch.spares = ("get_suspect_queues", "find_jobs", "find_job", "get_next_delayed_timestamp")
    async with app_over(switch) as app:

        @app.queue("work").job()
        async def note() -> None: ...

        async with app.worker():
            switch.is_gone = True
            await anyio.sleep(60)
            switch.is_gone = False
            await anyio.sleep(POLL_SECONDS)
    assert len(lines_about_the_store(caplog)) == 4  # at the start, after 10 and after 30 seconds, at the end


class Refusal:
    """A plan by which some verbs are refused, in a way that trying again does not help."""

    def __init__(self) -> None:
        self.refused: set[str] = set()

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        """Refuse what is to be refused."""
        if call.verb in self.refused:
            raise StoreError(f"{call.verb}: the database is damaged")
        return None


async def test_a_store_that_is_damaged_ends_the_worker_and_drops_no_outcome_as_unsettleable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusing = Refusal()
    async with app_over(refusing) as app:

        @app.queue("work").job()
        async def note() -> None:
            refusing.refused = {"settle_jobs", "renew"}

        with pytest.raises(StoreError, match="the database is damaged"):
            await _run_until_it_fails(app, note.add)
    assert "cannot be settled" not in caplog.text


async def test_one_settlement_that_is_refused_takes_nothing_else_with_it(caplog: pytest.LogCaptureFixture) -> None:
    refusing = Refusal()
    async with app_over(refusing) as app:

        @app.queue("work").job()
        async def spoil() -> None:
            refusing.refused = {"settle_jobs"}

        @app.queue("work").job()
        async def note() -> str:
            return "ran"

        async with app.worker(concurrency=1, prefetch=0):
            await spoil.add()
            await _until(lambda: "cannot be settled" in caplog.text)
            refusing.refused = set()
            assert await (await note.add()).result(timeout="10s") == "ran"


class Picky:
    """The jobs facet of a store that takes no end of a run but a stall, as one that cannot keep what they hold."""

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._jobs, verb)

    async def settle_jobs(self, settlements: Sequence[Settlement], *args: Any, **kwargs: Any) -> object:
        """Refuse them, or pass them on."""
        if any(settlement.outcome is not AttemptOutcome.STALLED for settlement in settlements):
            raise StoreError("unsupported Unicode escape sequence")
        return await self._jobs.settle_jobs(settlements, *args, **kwargs)


async def test_a_run_that_cannot_be_settled_counts_as_a_stall_and_at_last_fails_its_job() -> None:
    runs = 0
    async with app_over(Switch()) as app:
        store: Any = app._services.store
        store.jobs = Picky(store.jobs)

        @app.queue("work").job()
        async def spoil() -> None:
            nonlocal runs
            runs += 1

        async with app.worker(max_stalled=2):
            job = await spoil.add()
            with pytest.raises(JobFailedError, match=r"unsupported Unicode.*more often than max_stalled=2"):
                await job.result(timeout="10s")
        stalls = (await job.refresh()).data.stalled_count
        attempts = await job.attempts()
    assert (runs, stalls) == (3, 3)
    assert [attempt.outcome for attempt in attempts] == [AttemptOutcome.STALLED] * 3


async def test_a_job_of_which_not_even_a_stall_can_be_written_waits_again_in_a_worker_that_holds_nothing() -> None:
    refusing = Refusal()
    async with app_over(refusing) as app:
        runs = 0

        @app.queue("work").job()
        async def spoil() -> int:
            nonlocal runs
            runs += 1
            refusing.refused = {"settle_jobs"} if runs == 1 else set()
            return runs

        async with app.worker(lock_duration="30s"):
            assert await (await spoil.add()).result(timeout="30s") == 2


async def test_who_waits_for_a_result_is_told_that_the_store_is_damaged() -> None:
    refusing = Refusal()
    async with app_over(refusing) as app:

        @app.queue("work").job()
        async def note() -> str:
            return "ran"

        job = await note.add()
        refusing.refused = {"find_jobs"}
        with pytest.raises(StoreError, match="the database is damaged"):
            await job.result(timeout="10s")
        refusing.refused = set()
        async with app.worker():
            assert await job.result(timeout="10s") == "ran"


async def _run_until_it_fails(app: Conveyor, add: Callable[[], Awaitable[object]]) -> None:
    async with app.worker():
        await add()
        await anyio.sleep(60)


async def _until(condition: Callable[[], object]) -> None:
    async def holds() -> object:
        return condition()

    await eventually(holds)
