"""What every buffer storage must do: the seed's three methods, and what an app makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor.contracts.buffer_storage import EditableBufferStorage, TransactionalBufferStorage
from conveyor.errors import BufferError, CapabilityError
from conveyor.model.buffers.job_buffer import JobBuffer
from conveyor.model.states import JobState
from conveyor.testing.conformance.storage_deaths import StorageDeaths
from conveyor.testing.conformance.storage_kit import NAME, QUEUE, MakeStorage, shown
from conveyor.testing.conformance.storage_rivals import StorageRivals
from conveyor.testing.conformance.storage_triggers import StorageTriggers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._app import Conveyor
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy

__all__ = ["BufferStorageConformance", "MakeStorage"]


class BufferStorageConformance(StorageRivals, StorageDeaths, StorageTriggers):
    """A kit for buffer storages. Override the fixtures `make_storage` and, if need be, `store_url` and `is_shared`.

    class TestMine(BufferStorageConformance):
        @pytest.fixture
        def make_storage(self):
            return MyStorage

    Those are tested as dying at any call of the app's store that have `TransactionalBufferStorage`; and flushed by
    several processes, some of which are killed, that say by `is_shared` that those see the same. A storage whose time
    is not that of the app's `Clock` overrides `outlast`.
    """

    async def test_jobs_are_counted_and_come_back_in_order(
        self, app: Conveyor, storage: JobBufferStorageStrategy
    ) -> None:
        async with app:
            for id in "cab":
                assert (await storage.add("b", self.new(app, id))).id == id
            await storage.add("other", self.new(app, "d"))
            assert dict(await storage.buffer_size()) == {"b": 3, "other": 1}
            assert shown(await storage.flush(["b"])) == {"b": ["c", "a", "b"]}
            assert dict(await storage.buffer_size(["other"])) == {"other": 1}

    @pytest.mark.parametrize("ids", [None, []])
    async def test_none_and_an_empty_list_mean_all(
        self, app: Conveyor, storage: JobBufferStorageStrategy, ids: Sequence[str] | None
    ) -> None:
        async with app:
            await storage.add("b", self.new(app, "a"))
            await storage.add("other", self.new(app, "d"))
            assert dict(await storage.buffer_size(ids)) == {"b": 1, "other": 1}
            assert shown(await storage.flush(ids)) == {"b": ["a"], "other": ["d"]}
            assert shown(await storage.flush(ids)) == {}

    async def test_unknown_ids_are_absent(self, app: Conveyor, storage: JobBufferStorageStrategy) -> None:
        async with app:
            await storage.add("b", self.new(app, "a"))
            assert dict(await storage.buffer_size(["b", "nobody"])) == {"b": 1}
            assert shown(await storage.flush(["nobody"])) == {}
            assert shown(await storage.flush(["b", "nobody"])) == {"b": ["a"]}

    async def test_a_job_comes_back_as_it_was(self, app: Conveyor, storage: JobBufferStorageStrategy) -> None:
        async with app:
            job = app.queue(QUEUE).new(NAME, {"ids": ["ü", None]}, priority=3, tags=("x",))
            await storage.add("b", job)
            (back,) = (await storage.flush(["b"]))["b"]
        assert (back.id, back.queue_name, back.name, back.payload) == (job.id, QUEUE, NAME, job.payload)
        assert back.options == job.options

    async def test_an_app_flushes_it_and_follows_its_jobs(self, app: Conveyor) -> None:
        async with app:
            first, second = await app.queue(QUEUE).add_many([self.new(app, "a"), self.new(app, "b")])
            assert await app.buffers.buffer_size() == {"b": 2, "other": 0}
            (job,) = (await app.buffers.flush())["b"]
            assert (job.id, job.to_json()["payload"]) == (first.id, {"ids": ["a", "b"]})
            await second.refresh()
            assert second.merged_into == first.id
            assert await app.buffers.flush() == {"b": [], "other": []}

    async def test_a_job_can_be_cancelled_or_removed_where_the_storage_knows_single_jobs(
        self, app: Conveyor, storage: JobBufferStorageStrategy
    ) -> None:
        async with app:
            jobs = await app.queue(QUEUE).add_many([self.new(app, id) for id in "abc"])
            if isinstance(storage, EditableBufferStorage):
                await jobs[0].cancel("nobody wants it")
                await jobs[1].remove()
                assert (jobs[0].state, await app.queue(QUEUE).count("cancelled")) == (JobState.CANCELLED, 1)
                assert [job.id for job in (await app.buffers.flush())["b"]] == ["c"]
                return
            for ask in (jobs[0].cancel, jobs[1].remove):
                with pytest.raises(CapabilityError, match=type(storage).__name__):
                    await ask()
            assert await app.buffers.buffer_size(["b"]) == {"b": 3}

    async def test_what_cannot_be_reduced_stays(self, app: Conveyor) -> None:
        async with app:
            await app.queue(QUEUE).add_many([self.new(app, "a")])
            reduce_and_raise(app, ValueError("out of ideas"))
            with pytest.raises(BufferError, match="out of ideas"):
                await app.buffers.flush()
            assert await app.buffers.buffer_size(["b"]) == {"b": 1}

    async def test_a_flush_that_dies_before_it_commits_leaves_its_jobs(
        self, app: Conveyor, storage: JobBufferStorageStrategy
    ) -> None:
        if not isinstance(storage, TransactionalBufferStorage):
            pytest.skip("the storage clears a buffer before its jobs are added")
        async with app:
            await app.queue(QUEUE).add_many([self.new(app, "a"), self.new(app, "b")])
            reduce_and_raise(app, Died())
            with pytest.raises(Died):
                await app.buffers.flush()
            assert await app.buffers.buffer_size(["b"]) == {"b": 2}


class Died(BaseException):
    """Stands for the end of a process."""


def reduce_and_raise(app: Conveyor, error: BaseException) -> None:
    """Let the reduce of the app's buffer raise."""

    def fail(_: object) -> Any:
        raise error

    app.buffers.remove_buffer("b")
    app.buffers.add_buffer(JobBuffer("b", collect=lambda job: job.name == NAME, reduce=fail))
