"""Jobs that are in a buffer still: cancelled or removed through their handles; all else is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, InMemoryJobBufferStorageStrategy, JobBuffer, union
from conveyor._builtin.inline_queue import InlineJobQueue
from conveyor._builtin.store_buffer import StoreBufferStorage
from conveyor.errors import (
    CapabilityError,
    JobFailedError,
    JobInBufferError,
    JobNotFoundError,
    StoreUnavailableError,
)
from conveyor.model.states import JobState
from conveyor.testing.faults import FaultKind, FaultyStore, StoreCall
from conveyor.testing.stores import open_store
from tests.app.test_plain_strategies import Shelf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from conveyor import Job
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.model.buffers.values import BufferedJob, BufferPlace

pytestmark = pytest.mark.anyio


def collecting(app: Conveyor, **options: Any) -> Conveyor:
    """Register a buffer for everything."""
    app.buffers.add_buffer(JobBuffer("b", **{"collect": lambda _: True, "reduce": union("ids"), **options}))
    return app


async def add(app: Conveyor, *ids: str) -> list[Job[Any]]:
    """Add jobs of these ids, one by one."""
    return [await app.queue("search").add("reindex", {"ids": [id]}, job_id=id) for id in ids]


async def test_a_buffered_job_can_be_cancelled_through_its_handle(app: Conveyor) -> None:
    async with collecting(app):
        kept, unwanted = await add(app, "a", "b")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unwanted.wait_until_finished, 10)
            await unwanted.cancel("nobody wants it")
        assert (unwanted.state, unwanted.merged_into) == (JobState.CANCELLED, None)
        with pytest.raises(JobFailedError, match="nobody wants it"):
            await unwanted.result(timeout=10)
        flushed = await app.buffers.flush()
        assert [(job.id, job.to_json()["payload"]) for job in flushed["b"]] == [("a", {"ids": ["a"]})]
        assert (await kept.refresh()).state is JobState.WAITING


async def test_a_buffered_job_can_be_removed_through_its_handle(app: Conveyor) -> None:
    async with collecting(app):
        _, unwanted = await add(app, "a", "b")
        await unwanted.remove()
        with pytest.raises(JobNotFoundError):
            await unwanted.refresh()
        with pytest.raises(JobNotFoundError):
            await unwanted.remove()
        assert await app.buffers.buffer_size() == {"b": 1}


async def test_a_merged_job_is_neither_cancelled_nor_removed(app: Conveyor) -> None:
    async with collecting(app):
        first, second = await add(app, "a", "b")
        await app.buffers.flush()
        for ask in (second.cancel, second.remove):
            with pytest.raises(JobInBufferError, match="merged into job 'a'") as raised:
                await ask()
            assert raised.value.merged_into == "a"
        assert (await first.refresh()).state is JobState.WAITING


@pytest.mark.parametrize(
    "ask",
    [
        lambda job: job.promote(),
        lambda job: job.rerun(),
        lambda job: job.update_data({"ids": []}),
        lambda job: job.change_delay(1),
        lambda job: job.change_priority(1),
        lambda job: job.move_to_delayed(datetime.now(UTC)),
        lambda job: job.move_to_failed(),
        lambda job: job.discard(),
    ],
)
async def test_what_cannot_be_asked_of_a_buffered_job_says_where_it_is(
    ask: Callable[[Job[Any]], Awaitable[None]],
) -> None:
    app = collecting(Conveyor("memory://"))
    async with app:
        (job,) = await add(app, "a")
        with pytest.raises(JobInBufferError, match="is in buffer 'b' still") as raised:
            await ask(job)
        assert raised.value.buffer_id == "b"
        assert await app.buffers.buffer_size() == {"b": 1}


async def test_a_storage_that_knows_no_single_jobs_refuses() -> None:
    app = collecting(Conveyor("memory://", buffer_storage=InMemoryJobBufferStorageStrategy()))
    async with app:
        (job,) = await add(app, "a")
        for ask in (job.cancel, job.remove):
            with pytest.raises(CapabilityError, match="InMemoryJobBufferStorageStrategy"):
                await ask()
        assert await app.buffers.buffer_size() == {"b": 1}


@pytest.mark.parametrize("make_queue", [InlineJobQueue, Shelf], ids=["inline", "three_methods"])
async def test_a_job_of_a_queue_that_is_in_no_store_is_looked_at_and_removed_and_not_cancelled(
    store_url: str, make_queue: Callable[[], JobQueueStrategy]
) -> None:
    app = collecting(Conveyor(store_url, job_queue=make_queue()))
    async with app:
        kept, unwanted = await add(app, "a", "b")
        assert (await unwanted.refresh()).state is JobState.WAITING
        with pytest.raises(CapabilityError, match=r"take it out of its buffer.*: job\.remove\(\)"):
            await unwanted.cancel()
        assert await app.buffers.buffer_size() == {"b": 2}
        await (await app.jobs.get("b")).remove()
        with pytest.raises((JobNotFoundError, CapabilityError)):
            await unwanted.refresh()
        flushed = await app.buffers.flush()
        assert [(job.id, job.to_json()["payload"]) for job in flushed["b"]] == [(kept.id, {"ids": ["a"]})]


async def test_a_job_that_is_cancelled_while_it_is_flushed_is_not_in_what_is_added(app: Conveyor) -> None:
    begun, is_cancelled = anyio.Event(), anyio.Event()

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        begun.set()
        await is_cancelled.wait()
        return union("ids")(jobs)

    async with collecting(app, reduce=reduce):
        *_, unwanted = await add(app, "a", "b", "c")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.buffers.flush)
            await begun.wait()
            await unwanted.cancel()
            is_cancelled.set()
        (added,) = await app.queue("search").jobs("waiting", 0, 10)
        assert (added.id, added.to_json()["payload"]) == ("a", {"ids": ["a", "b"]})
        assert (await unwanted.refresh()).state is JobState.CANCELLED


async def test_a_flush_that_loses_what_it_took_again_and_again_leaves_the_rest() -> None:
    app = Conveyor("memory://")
    tries = 0

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        nonlocal tries
        tries += 1
        await (await app.jobs.get(jobs[0].id)).remove()
        return jobs

    async with collecting(app, reduce=reduce):
        await add(app, *"abcdef")
        assert await app.buffers.flush() == {"b": []}
        assert (tries, await app.buffers.buffer_size()) == (3, {"b": 3})


class Sliding(StoreBufferStorage):
    """Flushes its buffers at the moment in which somebody looks for a job in them."""

    slide: Callable[[], Awaitable[object]] | None = None

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        if self.slide is not None:
            slide, self.slide = self.slide, None
            await slide()
        return await super().find_places(job_ids)


@pytest.mark.parametrize("verb", ["refresh", "cancel", "remove", "wait_until_finished"])
async def test_a_job_that_is_flushed_between_two_looks_is_found(verb: str) -> None:
    storage = Sliding()
    app = collecting(Conveyor("memory://", buffer_storage=storage))

    @app.queue("search").job()
    async def reindex(ids: list[str]) -> None: ...

    async with app:
        (job,) = await add(app, "a")
        storage.slide = app.buffers.flush
        if verb == "wait_until_finished":
            async with app.worker():
                await job.wait_until_finished(10)
        else:
            await getattr(job, verb)()
        assert storage.slide is None


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
async def test_a_cancel_whose_line_breaks_took_effect_or_did_not(kind: FaultKind) -> None:
    is_broken = False

    def plan(call: StoreCall) -> FaultKind | None:
        return kind if is_broken and (call.facet, call.verb) == ("buffers", "cancel_job") else None

    async with open_store("memory://") as store, collecting(Conveyor(FaultyStore(store, plan))) as app:
        _, job = await add(app, "a", "b")
        is_broken = True
        with pytest.raises(StoreUnavailableError):
            await job.cancel()
        is_broken = False
        await job.refresh()
        if kind is FaultKind.FAIL_BEFORE:
            assert (job.state, await app.buffers.buffer_size()) == (JobState.WAITING, {"b": 2})
            await job.cancel()
        assert (job.state, await app.buffers.buffer_size()) == (JobState.CANCELLED, {"b": 1})
