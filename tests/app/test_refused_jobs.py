"""Jobs of a buffer that a job queue elsewhere refuses: at the add where it can tell, else set aside at the flush."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor, JobBuffer, union
from conveyor.errors import CapabilityError, JobFailedError, JobNotFoundError, PayloadError, StoreUnavailableError
from conveyor.model.buffers.job_buffer import ReduceErrorPolicy
from conveyor.model.queries import Page
from conveyor.model.states import JobState
from conveyor.testing.stores import open_store
from tests.app.test_plain_strategies import Shelf
from tests.post_office import Office, PostQueue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor import Job
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt, JobFilter

pytestmark = pytest.mark.anyio

MOST_BYTES = 40


def check_size(job: NewJob) -> None:
    """Refuse what is too large."""
    if len(job.payload) > MOST_BYTES:
        raise PayloadError("arguments", "$", f"{len(job.payload)} bytes are too many", job_id=job.id)
    if "odd" in job.options.tags:
        raise CapabilityError(PickyQueue.__name__, "tags", "tags=", kind="job queue")


class PickyQueue(PostQueue):
    """A post office that can be looked into and takes small jobs only: of several it takes all, or none."""

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        for job in jobs:
            check_size(job)
        return await super().add_many(jobs)

    async def find_one(self, job_id: str, /) -> JobData | None:
        return None

    async def find_many_by_id(self, job_ids: Sequence[str], /) -> Sequence[JobData]:
        return ()

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        return Page((), None, datetime.now(UTC))

    async def remove_settled_jobs(self, queue_names: Sequence[str], older_than: timedelta, /) -> int:
        return 0

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        raise JobNotFoundError(job_id)

    @property
    def ids(self) -> list[str]:
        """The ids of the jobs that it has."""
        return [letter.new.id for letters in self.office.letters.values() for letter in letters]


class TellingQueue(PickyQueue):
    """One that tells beforehand what it would refuse."""

    async def check(self, jobs: Sequence[NewJob], /) -> None:
        for job in jobs:
            check_size(job)


class PickyShelf(Shelf):
    """A shelf that takes one small job at a time."""

    async def add(self, job: NewJob, /) -> object:
        check_size(job)
        return await super().add(job)


def buffering(store: Any, job_queue: JobQueueStrategy, buffer_storage: str = "store", **options: Any) -> Conveyor:
    """Return an app with a buffer for the jobs of the queue search."""
    app = Conveyor(store, job_queue=job_queue, buffer_storage=buffer_storage)
    given: dict[str, Any] = {"reduce": list, **options}
    app.buffers.add_buffer(JobBuffer("b", collect=lambda job: job.queue_name == "search", **given))
    return app


async def add(app: Conveyor, *ids: str, large: Sequence[str] = ()) -> list[Job[Any]]:
    """Add jobs of these ids, some of them too large."""
    return [
        await app.queue("search").add("index", {"ids": [id * (MOST_BYTES if id in large else 1)]}, job_id=id)
        for id in ids
    ]


async def test_what_a_job_queue_tells_that_it_refuses_is_refused_before_a_buffer_takes_it(store_url: str) -> None:
    queue = TellingQueue(Office())
    app = buffering(store_url, queue)
    async with app:
        with pytest.raises(PayloadError, match="too many"):
            await add(app, "a", large="a")
        search, other = app.queue("search"), app.queue("other")
        with pytest.raises(PayloadError, match="too many"):
            await search.add_many([other.new("o"), search.new("index"), search.new("index", {"ids": "x" * MOST_BYTES})])
        assert (await app.buffers.buffer_size(), queue.ids) == ({"b": 0}, [])
        await add(app, "a")
        assert await app.buffers.buffer_size() == {"b": 1}


@pytest.mark.parametrize("buffer_storage", ["store", "memory"])
@pytest.mark.parametrize("policy", [*ReduceErrorPolicy])
async def test_a_job_that_is_refused_at_the_flush_holds_up_no_other_and_is_kept_as_failed(
    store_url: str, buffer_storage: str, policy: ReduceErrorPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    queue = PickyQueue(Office())
    async with open_store(store_url) as store:
        async with buffering(store, queue, buffer_storage, on_reduce_error=policy) as app:
            jobs = await add(app, *"abcde", large="bd")
            await app.queue("search").add("index", job_id="f", tags=["odd"])
            with caplog.at_level(logging.ERROR, "conveyor.buffers"):
                flushed = await app.buffers.flush()
            assert [job.id for job in flushed["b"]] == queue.ids == ["a", "c", "e"]
            assert await app.buffers.buffer_size() == {"b": 0}
            counts = app.buffers.counts()["b"]
            assert (counts.reduced, counts.added, counts.merged, counts.dead_letters) == (6, 3, 0, 3)
            with pytest.raises(JobFailedError, match="PickyQueue refused it when buffer 'b' was flushed: PayloadError"):
                await jobs[1].result(timeout=10)
            assert (await jobs[1].refresh()).state is JobState.FAILED
            assert (await app.jobs.get("f")).state is JobState.FAILED
        assert "buffer b: job 'b' of queue 'search' (index) is set aside as failed, in store" in caplog.text
        kept = await store.jobs.find_jobs(["a", "b", "d", "f"])
        assert sorted(kept) == ["b", "d", "f"]


@pytest.mark.parametrize("buffer_storage", ["store", "memory"])
async def test_a_merged_job_that_is_refused_is_taken_apart(store_url: str, buffer_storage: str) -> None:
    queue = PickyQueue(Office())
    async with buffering(store_url, queue, buffer_storage, reduce=union("ids")) as app:
        ids = [f"{number:08}" for number in range(4)]
        jobs = await add(app, *ids, "x", large="x")
        flushed = await app.buffers.flush()
        assert [job.id for job in flushed["b"]] == queue.ids == ids
        assert jobs[1].merged_into is None
        with pytest.raises(JobFailedError, match="too many"):
            await jobs[4].result(timeout=10)


async def test_what_takes_one_job_at_a_time_is_given_none_twice(store_url: str) -> None:
    shelf = PickyShelf()
    async with buffering(store_url, shelf) as app:
        await add(app, *"abc", large="b")
        assert [job.id for job in (await app.buffers.flush())["b"]] == ["a", "c"]
        assert await app.buffers.buffer_size() == {"b": 0}
    assert [job.id for job in shelf.kept] == ["a", "c"]


async def test_a_set_aside_job_whose_id_another_has_is_kept_under_one_of_its_own(store_url: str) -> None:
    async with open_store(store_url) as store:
        async with Conveyor(store) as plain:
            await plain.queue("search").add("other", job_id="a", delay="1 hour")
        async with buffering(store, PickyQueue(Office()), "memory") as app:
            await add(app, "a", large="a")
            assert await app.buffers.flush() == {"b": []}
        async with Conveyor(store) as plain:
            assert await plain.queue("search").count("failed") == 1
            assert await plain.queue("search").count("delayed") == 1


@pytest.mark.parametrize("buffer_storage", ["store", "memory"])
async def test_a_job_queue_that_is_away_refuses_no_job(store_url: str, buffer_storage: str) -> None:
    office = Office()
    queue = PickyQueue(office)
    async with buffering(store_url, queue, buffer_storage) as app:
        await add(app, "a", "b", large="b")
        office.is_closed = True
        with pytest.raises(StoreUnavailableError):
            await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"b": 2}
        office.is_closed = False
        assert [job.id for job in (await app.buffers.flush())["b"]] == ["a"]
