"""Takes: a flush has what it took for as long as its `reduce` goes on, and adds nothing once it has lost it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobBuffer
from conveyor.errors import BufferError, StoreUnavailableError
from conveyor.model.states import JobState
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.contracts.store import Store
    from conveyor.model.buffers.values import BufferedJob
    from conveyor.testing.faults import StoreCall

pytestmark = pytest.mark.anyio

SECONDS = 200.0


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


def slow_app(
    store: Store, clock: JumpingClock, reduced: list[int], between: Callable[[], Awaitable[None]] | None = None
) -> Conveyor:
    """Return an app whose `reduce` takes far longer than what is taken belongs to a flush that is dead."""

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        await anyio.sleep(SECONDS / 2)
        if between is not None:
            await between()
        await anyio.sleep(SECONDS / 2)
        reduced.append(len(jobs))
        return [jobs[0].merging(*jobs[1:])]

    app = Conveyor(store, clock=clock)
    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=reduce, max_jobs=1))

    @app.queue("search").job()
    async def reindex(number: int) -> int:
        return number

    return app


async def test_a_reduce_that_takes_long_is_done_once_whoever_else_flushes(clock: JumpingClock) -> None:
    reduced: list[int] = []
    async with open_store("memory://", clock=clock) as store:
        one, other = slow_app(store, clock, reduced), slow_app(store, clock, reduced)
        async with one, other, one.worker(), other.worker():
            jobs = await one.queue("search").add_many(
                [one.queue("search").new("reindex", {"number": number}) for number in range(2)]
            )
            assert await jobs[1].result() == 0
    assert reduced == [2]


async def test_a_flush_from_which_a_job_was_cancelled_begins_again_however_often_it_was_renewed(
    clock: JumpingClock,
) -> None:
    reduced: list[int] = []

    async def cancel_one() -> None:
        if not reduced:
            await jobs[0].cancel()

    async with open_store("memory://", clock=clock) as store:
        app = slow_app(store, clock, reduced, cancel_one)
        async with app:
            jobs = [await app.queue("search").add("reindex", {"number": number}) for number in range(2)]
            (added,) = (await app.buffers.flush())["b"]
            assert (added.id, reduced) == (jobs[1].id, [2, 1])
            await jobs[0].refresh()
            assert (jobs[0].state, await app.queue("search").count("waiting")) == (JobState.CANCELLED, 1)


@pytest.mark.parametrize("failing", [1, 2, 100])
async def test_a_renewal_that_fails_is_asked_again_before_the_commit(clock: JumpingClock, failing: int) -> None:
    reduced: list[int] = []
    takes: list[str] = []

    def plan(call: StoreCall) -> FaultKind | None:
        if call.verb != "take":
            return None
        takes.append(call.verb)
        return FaultKind.FAIL_BEFORE if 1 < len(takes) <= 1 + failing else None

    async with open_store("memory://", clock=clock) as store:
        app = slow_app(FaultyStore(store, plan), clock, reduced)
        async with app:
            await app.queue("search").add("reindex", {"number": 0})
            if failing < 100:
                assert len((await app.buffers.flush())["b"]) == 1
                assert await app.buffers.buffer_size() == {"b": 0}
                return
            with pytest.raises(StoreUnavailableError):
                await app.buffers.flush()
            assert await app.buffers.buffer_size() == {"b": 1}


def has_name(name: str, job: BufferedJob) -> bool:
    """Return whether a job has this name."""
    return job.name == name


@pytest.mark.parametrize("storage", ["store", "memory"])
async def test_each_buffer_has_its_time_as_the_app_closes_and_is_told_of_where_it_is_over(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture, storage: str
) -> None:
    async def too_long(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        await anyio.sleep(SECONDS)
        return jobs

    async with open_store("memory://", clock=clock) as store:
        app = Conveyor(store, clock=clock, buffer_storage=storage)
        for name, reduce in (("slow", too_long), ("quick", list)):
            collect = partial(has_name, name)
            app.buffers.add_buffer(JobBuffer(name, collect=collect, reduce=reduce, flush_on_shutdown=True))
        began = anyio.current_time()
        async with app:
            await app.queue("search").add("slow")
            await app.queue("search").add("quick")
        assert 10 <= anyio.current_time() - began < 12
        assert await store.queues.count_jobs("search", JobState.WAITING) == 1
    assert "buffer slow could not be flushed at shutdown within 10 s" in caplog.text
    assert "buffer quick" not in caplog.text


async def test_a_buffer_that_fails_at_shutdown_is_told_of_with_its_traceback(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        raise ValueError("out of ideas")

    app = Conveyor("memory://", clock=clock)
    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=fail, flush_on_shutdown=True))
    async with app:
        await app.queue("search").add("reindex")
        with pytest.raises(BufferError, match="out of ideas"):
            await app.buffers.flush()
        assert caplog.text == ""
    assert "buffer b could not be flushed at shutdown" in caplog.text
    assert "ValueError: out of ideas" in caplog.text
