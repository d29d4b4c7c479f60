"""Buffers of an app: jobs are collected, reduced, flushed, and followed to the job that does their work."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import evolve

from conveyor import AesGcmCodec, Conveyor, InMemoryJobBufferStorageStrategy, JobBuffer, dedupe, union
from conveyor.errors import (
    BufferError,
    CapabilityError,
    ConfigurationError,
    JobFailedError,
    JobNotFoundError,
    StoreUnavailableError,
    UnknownStrategyError,
)
from conveyor.model.groups import Group
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState
from conveyor.testing.faults import FaultKind, FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import JobHandler, NewJob
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio


def collect_all(job: BufferedJob) -> bool:
    """Collect everything."""
    return job.name == "reindex"


def reindexing(app: Conveyor) -> JobHandler[Any, Any, Any, list[int]]:
    """Return a handler that answers with what it was given."""

    @app.queue("search").job()
    async def reindex(ids: list[int]) -> list[int]:
        return ids

    return reindex


def buffer_of(app: Conveyor, **options: Any) -> JobBuffer:
    """Register a buffer that unites what is to be reindexed."""
    buffer = JobBuffer("reindexing", **{"collect": collect_all, "reduce": union("ids"), **options})
    app.buffers.add_buffer(buffer)
    return buffer


async def test_jobs_wait_in_their_buffer_until_it_is_flushed(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app)
    async with app:
        first = await reindex.add([1, 2])
        second = await reindex.add([2, 3])
        assert (first.added_as, first.was_added, second.state) == (Added.BUFFERED, True, JobState.WAITING)
        assert await app.buffers.buffer_size() == {"reindexing": 2}
        assert await app.queue("search").count("waiting") == 0
        flushed = await app.buffers.flush()
        assert [job.id for job in flushed["reindexing"]] == [first.id]
        assert await app.buffers.buffer_size() == {"reindexing": 0}
        assert await app.queue("search").count("waiting") == 1


async def test_each_handle_leads_to_the_job_that_did_its_work(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app)
    async with app, app.worker():
        first, second = await reindex.add([1]), await reindex.add([2])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(second.wait_until_finished, 10)
            await app.buffers.flush()
        assert (second.state, second.merged_into, first.merged_into) == (JobState.COMPLETED, first.id, None)
        assert await second.result(timeout=10) == [1, 2]
        assert await first.result(timeout=10) == [1, 2]
        again = await app.jobs.get(second.id)
        assert (again.id, again.merged_into) == (second.id, first.id)


async def test_a_merged_job_fails_with_the_job_that_did_its_work(app: Conveyor) -> None:
    @app.queue("search").job()
    async def reindex(ids: list[int]) -> None:
        raise ValueError("no such index")

    buffer_of(app)
    async with app, app.worker():
        jobs = [await reindex.add([1]), await reindex.add([2])]
        await app.buffers.flush()
        for job in jobs:
            with pytest.raises(JobFailedError, match="no such index"):
                await job.result(timeout=10)


async def test_a_merged_job_ends_with_one_that_leaves_no_record(app: Conveyor) -> None:
    reindex = reindexing(app).options(remove_on_complete=True)
    buffer_of(app)
    async with app, app.worker():
        _, second = await reindex.add([1]), await reindex.add([2])
        await app.buffers.flush()
        assert await second.result(timeout=10) == [1, 2]


async def test_a_buffered_job_can_be_looked_at(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app)
    async with app:
        job = await reindex.add([1])
        await job.refresh()
        assert (job.state, job.merged_into) == (JobState.WAITING, None)
        assert (await app.jobs.get(job.id)).to_json()["payload"] == {"ids": [1]}
        with pytest.raises(JobNotFoundError):
            await app.jobs.get("nobody")


async def test_ids_say_which_buffers_and_none_means_all(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app)
    app.buffers.add_buffer(JobBuffer("other", collect=lambda _: False, reduce=list))
    async with app:
        await reindex.add([1])
        assert await app.buffers.buffer_size([]) == {"reindexing": 1, "other": 0}
        assert await app.buffers.buffer_size(["other", "nobody"]) == {"other": 0}
        assert await app.buffers.flush(["other", "nobody"]) == {"other": []}
        assert (await app.buffers.flush([])).keys() == {"reindexing", "other"}
        with pytest.raises(ConfigurationError, match="list"):
            await app.buffers.flush("reindexing")


async def test_what_nobody_collects_is_added_as_ever(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app, collect=lambda job: job.data["ids"] != [])
    async with app:
        jobs = await reindex.add_many([reindex.new([1]), reindex.new([]), reindex.new([2])])
        assert [job.added_as for job in jobs] == [Added.BUFFERED, Added.ADDED, Added.BUFFERED]
        assert await app.queue("search").count("waiting") == 1


async def test_a_job_that_two_buffers_collect_is_refused(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app)
    app.buffers.add_buffer(JobBuffer("other", collect=collect_all, reduce=list))
    async with app:
        with pytest.raises(BufferError, match="reindexing, other"):
            await reindex.add([1])
        assert await app.buffers.buffer_size() == {"reindexing": 0, "other": 0}
        assert await app.queue("search").count("waiting") == 0


async def test_a_job_of_a_group_with_a_size_is_refused(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app)
    async with app:
        with pytest.raises(BufferError, match="max_size"):
            await reindex.options(group=Group("shop", max_size=1)).add([1])
        await reindex.options(group=Group("shop")).add([1])
        assert await app.buffers.buffer_size() == {"reindexing": 1}


async def test_an_id_names_one_buffer(app: Conveyor) -> None:
    buffer = buffer_of(app)
    app.buffers.add_buffer(buffer)
    with pytest.raises(BufferError, match="another buffer"):
        buffer_of(app)
    app.buffers.remove_buffer(buffer)
    with pytest.raises(BufferError, match="not registered"):
        app.buffers.remove_buffer("reindexing")
    with pytest.raises(ConfigurationError, match="JobBuffer"):
        app.buffers.add_buffer(object())  # type: ignore[arg-type]  # what is refused


async def test_functions_of_a_buffer_may_be_async(app: Conveyor) -> None:
    async def collect(job: BufferedJob) -> bool:
        return job.name == "reindex"

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        return dedupe("ids")(jobs)

    reindex = reindexing(app)
    buffer_of(app, collect=collect, reduce=reduce)
    async with app:
        await reindex.add_many([reindex.new([1]), reindex.new([1])])
        assert len((await app.buffers.flush())["reindexing"]) == 1


async def test_chunks_are_reduced_one_by_one_in_order(app: Conveyor) -> None:
    seen: list[list[int]] = []

    def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        seen.append([job.data["ids"][0] for job in jobs])
        return jobs

    reindex = reindexing(app)
    buffer_of(app, reduce=reduce, chunk_size=2)
    async with app:
        added = await reindex.add_many([reindex.new([number]) for number in range(5)])
        flushed = await app.buffers.flush()
        assert seen == [[0, 1], [2, 3], [4]]
        assert [job.id for job in flushed["reindexing"]] == [job.id for job in added]
        listed = await app.queue("search").jobs("waiting", 0, 10)
        assert [job.id for job in listed] == [job.id for job in added]


def break_down(_: object) -> Sequence[BufferedJob]:
    """Reduce nothing."""
    raise RuntimeError("out of ideas")


async def test_by_default_a_reduce_that_raises_leaves_its_jobs(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer = buffer_of(app, reduce=break_down)
    async with app:
        await reindex.add([1])
        with pytest.raises(BufferError, match="RuntimeError: out of ideas") as caught:
            await app.buffers.flush()
        assert isinstance(caught.value.__cause__, RuntimeError)
        app.buffers.remove_buffer(buffer)
        buffer_of(app)
        assert len((await app.buffers.flush())["reindexing"]) == 1


async def test_originals_are_added_where_that_is_asked_for(app: Conveyor, caplog: pytest.LogCaptureFixture) -> None:
    reindex = reindexing(app)
    buffer_of(app, reduce=break_down, on_reduce_error="add_originals")
    async with app:
        added = [await reindex.add([1]), await reindex.add([1])]
        flushed = await app.buffers.flush()
        assert [job.id for job in flushed["reindexing"]] == [job.id for job in added]
        assert "out of ideas" in caplog.text


async def test_dead_letters_are_failed_jobs_that_can_be_rerun(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app, reduce=break_down, on_reduce_error="dead_letter")
    async with app, app.worker():
        job = await reindex.add([1])
        await app.buffers.flush()
        with pytest.raises(JobFailedError, match="could not reduce it: RuntimeError: out of ideas"):
            await job.result(timeout=10)
        await job.rerun()
        assert await job.result(timeout=10) == [1]


def with_another_id(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
    """Return a job that nobody gave."""
    return [evolve(jobs[0], id="mine")]


def of_another_name(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
    """Return a job that goes elsewhere."""
    return [evolve(jobs[0], name="other")]


@pytest.mark.parametrize(
    ("reduce", "said"),
    [
        (with_another_id, "which was not given"),
        (of_another_name, "more of job"),
        (lambda jobs: [jobs[0], jobs[0]], "twice"),
        (lambda jobs: [jobs[0].merging(jobs[1]), jobs[1]], "twice"),
        (lambda jobs: list(jobs[:2]), "said nothing of 1 of its 3 jobs"),
        (lambda _: [], "said nothing of 3 of its 3 jobs"),
        (lambda _: None, "must return a list"),
        (lambda _: ["a"], "must return a list"),
        (lambda jobs: [jobs[0].with_data({"ids": "no list"})], "ids"),
        (lambda jobs: [jobs[0].with_data({"ids": [object()]})], "JSON"),
    ],
)
async def test_the_answer_of_a_reduce_is_checked(app: Conveyor, reduce: Any, said: str) -> None:
    reindex = reindexing(app)
    buffer_of(app, reduce=reduce)
    async with app:
        await reindex.add_many([reindex.new([number]) for number in range(3)])
        with pytest.raises(BufferError, match=said):
            await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"reindexing": 3}
        assert await app.queue("search").count("waiting") == 0


async def test_one_buffer_that_fails_leaves_the_others_their_turn(app: Conveyor) -> None:
    reindex = reindexing(app)
    buffer_of(app, reduce=break_down)
    app.buffers.add_buffer(JobBuffer("mail", collect=lambda job: job.name == "mail", reduce=list))
    async with app:
        await reindex.add([1])
        await app.queue("search").add("mail")
        with pytest.raises(BufferError):
            await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"reindexing": 1, "mail": 0}


async def test_arguments_are_sealed_in_the_buffer_too(store_url: str) -> None:
    app = Conveyor(store_url, payload_codec=AesGcmCodec({"k": b"0" * 32}))
    reindex = reindexing(app)
    buffer_of(app)
    async with app, app.worker():
        first, second = await reindex.add([1]), await reindex.add([2])
        places = await app._services.buffers.transactional.find_places([first.id])  # type: ignore[union-attr]
        kept = places[first.id].kept
        assert kept is not None
        assert b"ids" not in kept.job.payload
        await app.buffers.flush()
        assert await second.result(timeout=10) == [1, 2]


async def test_a_job_whose_id_another_took_goes_on_under_one_of_its_own(
    app: Conveyor, caplog: pytest.LogCaptureFixture
) -> None:
    reindex = reindexing(app)
    buffer = buffer_of(app)
    async with app:
        await reindex.options(job_id="mine").add([1])
        app.buffers.remove_buffer(buffer)
        await reindex.options(job_id="mine").add([2])
        app.buffers.add_buffer(buffer)
        (job,) = (await app.buffers.flush())["reindexing"]
        assert job.id != "mine"
        assert "another job has the id mine" in caplog.text
        assert (await app.jobs.get(job.id)).to_json()["payload"] == {"ids": [1]}


async def test_jobs_of_a_buffer_that_nobody_registers_are_kept_and_shown(
    app: Conveyor, caplog: pytest.LogCaptureFixture
) -> None:
    reindex = reindexing(app)
    buffer = buffer_of(app)
    async with app:
        await reindex.add([1])
        app.buffers.remove_buffer(buffer)
        assert await app.buffers.flush() == {}
        assert await app.buffers.flush(["nowhere"]) == {}
        assert "this program does not register it" not in caplog.text
        assert await app.buffers.flush(["reindexing"]) == {}
        assert "buffer reindexing has 1 jobs" in caplog.text
        assert await app.buffers.buffer_size() == {"reindexing": 1}


@pytest.mark.parametrize("verb", ["take", "commit", "release"])
@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
async def test_whichever_call_of_a_flush_fails_the_next_flush_does_the_rest(
    store_url: str, verb: str, kind: FaultKind
) -> None:
    spoiled: list[str] = []

    def plan(call: Any) -> FaultKind | None:
        if call.verb == verb and not spoiled:
            spoiled.append(verb)
            return kind
        return None

    async with open_store(store_url) as whole:
        store = FaultyStore(whole, plan)
        app = Conveyor(store)
        reindex = reindexing(app)
        ideas = iter([break_down, union("ids"), union("ids")] if verb == "release" else [union("ids")] * 3)
        buffer_of(app, reduce=lambda jobs: (next(ideas))(list(jobs)))
        async with app:
            await reindex.add_many([reindex.new([1]), reindex.new([2])])
            with pytest.raises(BufferError if verb == "release" else StoreUnavailableError):
                await app.buffers.flush()
            assert spoiled == [verb]
            token = await _release_dead(whole)
            await app.buffers.flush()
            assert await app.buffers.buffer_size() == {"reindexing": 0}, token
            assert await app.queue("search").count("waiting") == 1


async def _release_dead(store: Any) -> str:
    """Do what the end of a take's time does: the flush that lost its answer knows nothing of what it took."""
    buffers = store.buffers
    if hasattr(buffers, "_buffers"):
        for buffer in buffers._buffers.values():
            buffer.taken_until = None
        return "memory"

    def forget(transaction: Any) -> None:
        transaction.connection.execute("update conveyor_buffer_takes set taken_until = 0")

    await buffers._write(forget)
    return "sqlite"


async def test_a_flush_that_is_cancelled_leaves_its_jobs_to_the_next(app: Conveyor) -> None:
    begun = anyio.Event()

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        begun.set()
        await anyio.sleep_forever()
        return jobs

    reindex = reindexing(app)
    buffer = buffer_of(app, reduce=reduce)
    async with app:
        await reindex.add([1])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.buffers.flush)
            await begun.wait()
            tasks.cancel_scope.cancel()
        app.buffers.remove_buffer(buffer)
        buffer_of(app)
        assert len((await app.buffers.flush())["reindexing"]) == 1


async def test_buffers_that_want_it_are_flushed_as_the_app_closes(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    app = Conveyor(url)
    reindex = reindexing(app)
    buffer_of(app, flush_on_shutdown=True)
    async with app:
        await reindex.add_many([reindex.new([1]), reindex.new([2])])
    async with open_store(url) as store:
        assert await store.queues.count_jobs("search", JobState.WAITING) == 1


async def test_a_store_without_buffers_refuses_them(store_url: str) -> None:
    async with open_store(store_url) as whole:
        store = FaultyStore(whole)
        store.buffers = None
        app = Conveyor(store)
        reindex = reindexing(app)
        buffer_of(app)
        async with app, app.worker():
            with pytest.raises(CapabilityError, match="buffers"):
                await reindex.add([1])
            assert (await app.jobs.count()) == 0


async def test_jobs_kept_in_memory_are_reduced_and_followed_too(store_url: str) -> None:
    storage = InMemoryJobBufferStorageStrategy()
    app = Conveyor(store_url, buffer_storage=storage)
    reindex = reindexing(app)
    buffer_of(app)
    async with app, app.worker():
        first, second = await reindex.add([1]), await reindex.add([2])
        assert [job.id for job in storage.buffer_storage["reindexing"]] == [first.id, second.id]
        await second.refresh()
        assert await app.buffers.buffer_size() == {"reindexing": 2}
        flushed = await app.buffers.flush()
        assert [job.id for job in flushed["reindexing"]] == [first.id]
        assert storage.buffer_storage == {}
        assert await second.result(timeout=10) == [1, 2]
        assert second.merged_into == first.id


async def test_what_memory_could_not_reduce_is_put_back(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    reindex = reindexing(app)
    buffer_of(app, reduce=break_down)
    async with app:
        await reindex.add_many([reindex.new([1]), reindex.new([2])])
        with pytest.raises(BufferError):
            await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"reindexing": 2}


async def test_dead_letters_of_memory_are_failed_jobs(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    reindex = reindexing(app)
    buffer_of(app, reduce=break_down, on_reduce_error="dead_letter")
    async with app:
        job = await reindex.add([1])
        await app.buffers.flush()
        with pytest.raises(JobFailedError, match="out of ideas"):
            await job.result(timeout=10)


async def test_a_storage_that_may_lose_jobs_says_so(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db", buffer_storage="memory")
    buffer_of(app)
    with caplog.at_level(logging.WARNING):
        async with app:
            assert "lost when this process stops" in caplog.text
            assert "InMemoryJobBufferStorageStrategy clears a buffer before" in caplog.text


async def test_a_storage_in_memory_joins_no_transaction(store_url: str) -> None:
    app = Conveyor(store_url, buffer_storage="memory")
    reindex = reindexing(app)
    buffer_of(app)
    async with app:
        with pytest.raises(CapabilityError, match="transactions"):
            await reindex.add_many([reindex.new([1])], connection=object())


async def test_a_storage_is_found_by_its_name(store_url: str) -> None:
    with pytest.raises(UnknownStrategyError, match="buffer storage"):
        async with Conveyor(store_url, buffer_storage="memroy"):
            pass
    with pytest.raises(ConfigurationError, match="buffer_storage must be"):
        Conveyor(store_url, buffer_storage=object())  # type: ignore[arg-type]  # what is refused
    with pytest.raises(ConfigurationError, match=r"buffer_storage=InMemoryJobBufferStorageStrategy\(\)"):
        Conveyor(store_url, buffer_storage=InMemoryJobBufferStorageStrategy)  # type: ignore[arg-type]  # what is refused


async def test_a_buffered_add_joins_its_callers_transaction(tmp_path: Any) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
    reindex = reindexing(app)
    buffer_of(app)

    async with app:
        connection = sqlite3.connect(f"{tmp_path}/jobs.db")
        try:
            connection.execute("begin immediate")
            await reindex.add_many([reindex.new([1])], connection=connection)
            assert await app.buffers.buffer_size() == {"reindexing": 0}
            connection.rollback()
            assert await app.buffers.buffer_size() == {"reindexing": 0}
            connection.execute("begin immediate")
            await reindex.add_many([reindex.new([1])], connection=connection)
            connection.commit()
        finally:
            connection.close()
        assert await app.buffers.buffer_size() == {"reindexing": 1}


class Elsewhere:
    """A job queue strategy that keeps its jobs in no store; it may die after it has added."""

    def __init__(self) -> None:
        self.jobs: dict[str, NewJob] = {}
        self.is_dying = False

    async def init(self, injector: Injector, /) -> None: ...

    async def destroy(self) -> None: ...

    async def add(self, job: NewJob, /) -> AddReceipt:
        return (await self.add_many([job]))[0]

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        receipts = [AddReceipt(job.id) for job in jobs]
        for number, job in enumerate(jobs):
            if self.jobs.setdefault(job.id, job).payload != job.payload:
                receipts[number] = AddReceipt(job.id, Added.DUPLICATE)
        if self.is_dying:
            raise OSError("the line is cut")
        return receipts

    async def start(self, queue_name: str, process: ProcessJob, /) -> None: ...

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        return ()


async def test_jobs_are_flushed_to_queues_that_are_elsewhere(store_url: str) -> None:
    elsewhere = Elsewhere()
    app = Conveyor(store_url, job_queue=elsewhere)
    reindex = reindexing(app)
    buffer_of(app)
    async with app:
        first, second = await reindex.add([1]), await reindex.add([2])
        elsewhere.is_dying = True
        with pytest.raises(OSError, match="cut"):
            await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"reindexing": 2}
        elsewhere.is_dying = False
        await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"reindexing": 0}
        assert {id: job.payload for id, job in elsewhere.jobs.items()} == {first.id: b'{"ids":[1,2]}'}
        assert (await app._services.buffers.transactional.find_places([second.id]))[  # type: ignore[union-attr]
            second.id
        ].merged_into == first.id


async def test_dead_letters_that_nobody_would_keep_stay_in_the_buffer(store_url: str) -> None:
    app = Conveyor(store_url, job_queue=Elsewhere())
    reindex = reindexing(app)
    buffer_of(app, reduce=break_down, on_reduce_error="dead_letter")
    async with app:
        await reindex.add([1])
        with pytest.raises(BufferError, match="stay there"):
            await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"reindexing": 1}
