"""Buffers in a storage that clears before anything is added: nothing is added twice, and what is lost is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import AesGcmCodec, Conveyor, InMemoryJobBufferStorageStrategy, JobBuffer, union
from conveyor.errors import BufferError, DuplicateJobError, StoreUnavailableError
from conveyor.model.queries import Added
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor import JobHandler, NewJob
    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio


class FullStorage(InMemoryJobBufferStorageStrategy):
    """Takes nothing any more once it was flushed."""

    is_flushed = False

    async def add(self, buffer_id: str, job: NewJob, /) -> NewJob:
        if self.is_flushed:
            raise StoreUnavailableError("full")
        return await super().add(buffer_id, job)

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        self.is_flushed = True
        return await super().flush(buffer_ids)


def fail(_: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
    """Reduce nothing."""
    raise ValueError("no")


def collecting(app: Conveyor, **options: Any) -> JobHandler[Any, Any, Any, int]:
    """Register a buffer of all jobs of the name reindex, and return the handler of that name."""

    @app.queue("search").job()
    async def reindex(number: int) -> int:
        return number

    buffer = JobBuffer("b", **{"collect": lambda job: job.name == "reindex", "reduce": list, **options})
    app.buffers.add_buffer(buffer)
    return reindex


async def test_what_a_clearing_storage_does_not_take_back_is_told_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor("memory://", buffer_storage=FullStorage())
    reindex = collecting(app, reduce=fail)
    async with app:
        jobs = [await reindex.add(number) for number in range(2)]
        with pytest.raises(StoreUnavailableError, match="full"):
            await app.buffers.flush()
        assert await app.buffers.sizes() == {}
    assert f"2 jobs could not be put back and are lost: {[job.id for job in jobs]}" in caplog.text


@pytest.mark.parametrize("codec", [None, AesGcmCodec({"k": b"0" * 32})])
async def test_a_job_whose_id_another_took_holds_up_no_other(store_url: str, codec: AesGcmCodec | None) -> None:
    app = Conveyor(store_url, buffer_storage="memory", payload_codec=codec)
    reindex = collecting(app).options(remove_on_complete=True)
    async with app:
        other = await app.queue("search").add("other", job_id="x1", delay="1 hour")
        jobs = [await reindex.options(job_id=f"x{number}").add(number) for number in range(3)]
        flushed = await app.buffers.flush()
        assert (flushed["b"][0].id, flushed["b"][2].id) == ("x0", "x2")
        assert flushed["b"][1].id not in {"x0", "x1", "x2"}
        assert await app.buffers.flush() == {"b": []}
        async with app.worker():
            assert [await job.result(timeout=10) for job in flushed["b"]] == [0, 1, 2]
        await other.refresh()
        assert (other.state, jobs[0].merged_into) == (JobState.DELAYED, None)
        assert await app.queue("search").count("completed") == 0


async def test_dead_letters_of_memory_never_run(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    ran: list[int] = []

    @app.queue("search").job(name="reindex")
    async def reindex(number: int) -> None:
        ran.append(number)

    app.buffers.add_buffer(
        JobBuffer("b", collect=lambda _: True, reduce=fail, on_reduce_error="dead_letter", chunk_size=40)
    )
    async with app, app.worker():
        await reindex.add_many([reindex.new(number) for number in range(60)])
        assert len((await app.buffers.flush())["b"]) == 60
        assert await app.queue("search").count("failed") == 60
        assert await app.buffers.buffer_size() == {"b": 0}
        app.buffers.remove_buffer("b")
        await (await reindex.add(100)).result(timeout=10)
    assert ran == [100]


async def test_a_dead_letter_that_is_a_job_already_is_left_alone(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    reindex = collecting(app, reduce=fail, on_reduce_error="dead_letter")
    async with app:
        app.buffers.remove_buffer("b")
        async with app.worker():
            done = await reindex.options(job_id="x").add(1)
            await done.result(timeout=10)
        collecting_again = JobBuffer("b", collect=lambda _: True, reduce=fail, on_reduce_error="dead_letter")
        app.buffers.add_buffer(collecting_again)
        await reindex.options(job_id="x").add(1)
        await app.buffers.flush()
        await done.refresh()
        assert done.state is JobState.COMPLETED


async def test_the_same_add_again_is_one_job_and_another_under_its_id_is_refused(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    reindex = collecting(app, reduce=lambda jobs: [jobs[0].merging(*jobs[1:])])
    async with app:
        await reindex.options(job_id="first").add(0)
        mine = reindex.options(job_id="same")
        assert [(await mine.add(1)).added_as for _ in range(2)] == [Added.BUFFERED] * 2
        with pytest.raises(DuplicateJobError):
            await mine.add(2)
        assert await app.buffers.buffer_size() == {"b": 2}
        assert [job.id for job in (await app.buffers.flush())["b"]] == ["first"]
        assert ((await mine.add(1)).added_as, await app.buffers.buffer_size()) == (Added.BUFFERED, {"b": 0})
        with pytest.raises(DuplicateJobError):
            await mine.add(2)


async def test_adds_that_only_the_storage_knows_are_made_once(store_url: str) -> None:
    storage = InMemoryJobBufferStorageStrategy()
    app = Conveyor(store_url, buffer_storage=storage)
    reindex = collecting(app)
    async with app:
        for number in (1, 1, 2):
            await storage.add("b", reindex.options(job_id="same").new(number))
        one, other = (await app.buffers.flush())["b"]
        assert one.id == "same" != other.id
        assert [job.to_json()["payload"] for job in (one, other)] == [{"number": 1}, {"number": 2}]


async def test_what_was_put_back_is_reduced_before_what_came_since(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    seen: list[list[int]] = []

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        seen.append([job.data["number"] for job in jobs])
        if len(seen) == 1:
            await reindex.add(2)
            raise ValueError("not yet")
        return jobs

    reindex = collecting(app, reduce=reduce)
    async with app:
        await reindex.add_many([reindex.new(number) for number in range(2)])
        with pytest.raises(BufferError, match="not yet"):
            await app.buffers.flush()
        await app.buffers.flush()
    assert seen == [[0, 1], [0, 1, 2]]


class Shelf(InMemoryJobBufferStorageStrategy):
    """Keeps its jobs for whoever opens it next."""

    is_durable = True


async def test_a_storage_that_outlives_the_process_is_counted_as_it_is(store_url: str) -> None:
    shelf = Shelf()
    before = Conveyor(store_url, buffer_storage=shelf)
    reindex = collecting(before, reduce=union("number"))
    async with before:
        for number in range(3):
            await reindex.add(number)
        await shelf.add("orphan", reindex.new(9))
    after = Conveyor(store_url, buffer_storage=shelf)
    late = collecting(after)
    async with after:
        first = await after.buffers.sizes()
        assert {id: size.jobs for id, size in first.items()} == {"b": 3, "orphan": 1}
        await late.add(3)
        second = (await after.buffers.sizes())["b"]
        assert (second.jobs, second.oldest_at) == (4, first["b"].oldest_at)
        assert second.newest_at > first["b"].newest_at
        assert second.bytes == len(b'{"number":3}')
        assert len((await after.buffers.flush())["b"]) == 4
        assert (await after.buffers.sizes()).keys() == {"orphan"}


async def test_a_flush_that_is_cancelled_puts_its_jobs_back(store_url: str) -> None:
    begun = anyio.Event()

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        begun.set()
        await anyio.sleep_forever()
        return jobs

    app = Conveyor(store_url, buffer_storage="memory")
    reindex = collecting(app, reduce=reduce)
    async with app:
        job = await reindex.add(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.buffers.flush)
            await begun.wait()
            assert await app.buffers.sizes() == {}
            await job.refresh()
            tasks.cancel_scope.cancel()
        assert (await app.buffers.sizes())["b"].jobs == 1
