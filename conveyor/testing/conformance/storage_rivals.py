"""Buffer storages whose flushes die at any point, and those of which several flush at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import pytest

from conveyor._app import Conveyor
from conveyor.contracts.buffer_storage import TransactionalBufferStorage
from conveyor.errors import StoreUnavailableError
from conveyor.testing.conformance.storage_kit import (
    NAME,
    QUEUE,
    TAKEN_FOR,
    MakeStorage,
    StorageKit,
    add_buffers,
    shown,
)
from conveyor.testing.crowd import in_processes
from conveyor.testing.faults import FaultKind, FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._handles.job import Job
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.store import Store
    from conveyor.testing.clocks import ManualClock
    from conveyor.testing.faults import StoreCall

__all__ = ["StorageRivals"]

MANY: Final = 30
CROWD: Final = 4
# Far more calls of the store than a flush of one chunk makes.
MOST_CALLS: Final = 50


class StorageRivals(StorageKit):
    """Each job's work is done once, or what a clearing storage had cleared is lost with its process."""

    async def test_flushes_at_once_are_given_each_job_once(
        self, app: Conveyor, storage: JobBufferStorageStrategy
    ) -> None:
        found: list[str] = []

        async def flush() -> None:
            found.extend(shown(await storage.flush(["b"])).get("b", []))

        async with app:
            for number in range(MANY):
                await storage.add("b", self.new(app, f"{number:02}"))
            async with anyio.create_task_group() as tasks:
                for _ in range(CROWD):
                    tasks.start_soon(flush)
        assert sorted(found) == [f"{number:02}" for number in range(MANY)]

    async def test_what_is_added_while_flushes_go_on_is_reduced_once(self, app: Conveyor) -> None:
        done: list[str] = []

        async def add() -> None:
            for number in range(MANY):
                await app.queue(QUEUE).add(NAME, {"ids": [f"{number:02}"]}, job_id=f"{number:02}")
                await anyio.lowlevel.checkpoint()

        async def flush() -> None:
            for _ in range(MANY // CROWD):
                done.extend(ids_of((await app.buffers.flush(["b"]))["b"]))

        async with app:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(add)
                for _ in range(CROWD):
                    tasks.start_soon(flush)
            done.extend(ids_of((await app.buffers.flush(["b"]))["b"]))
            assert await app.buffers.buffer_size(["b"]) == {"b": 0}
        assert sorted(done) == [f"{number:02}" for number in range(MANY)]

    async def test_what_a_dead_flush_took_is_flushed_by_the_next(
        self, app: Conveyor, storage: JobBufferStorageStrategy, clock: ManualClock
    ) -> None:
        if not isinstance(storage, TransactionalBufferStorage):
            pytest.skip("the storage clears a buffer before its jobs are added")
        async with app:
            await app.queue(QUEUE).add_many([self.new(app, "a"), self.new(app, "b")])
            assert [one.job.id for one in await storage.take("b", "dead", TAKEN_FOR, limit=10)] == ["a", "b"]
            assert (await app.buffers.buffer_size(["b"]), await app.buffers.flush(["b"])) == ({"b": 2}, {"b": []})
            await self.outlast(clock, TAKEN_FOR)
            assert ids_of((await app.buffers.flush(["b"]))["b"]) == ["a", "b"]

    async def test_a_take_is_renewed_by_its_token(
        self, app: Conveyor, storage: JobBufferStorageStrategy, clock: ManualClock
    ) -> None:
        if not isinstance(storage, TransactionalBufferStorage):
            pytest.skip("the storage clears a buffer before its jobs are added")
        async with app:
            await app.queue(QUEUE).add_many([self.new(app, "a"), self.new(app, "b")])
            taken = await storage.take("b", "slow", TAKEN_FOR, limit=1)
            for _ in range(3):
                await self.outlast(clock, TAKEN_FOR * 0.9)
                assert await storage.take("b", "slow", TAKEN_FOR, limit=1) == taken
            assert await app.buffers.flush(["b"]) == {"b": []}

    @pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
    async def test_wherever_a_flush_dies_each_job_is_done_once(
        self, make_storage: MakeStorage, store_url: str, clock: ManualClock, kind: FaultKind
    ) -> None:
        if not isinstance(make_storage(), TransactionalBufferStorage):
            pytest.skip("the storage clears a buffer before its jobs are added")
        death = Death(kind)
        async with open_store(store_url, clock=clock) as store:
            app = Conveyor(FaultyStore(store, death.plan), buffer_storage=make_storage(), clock=clock)
            add_buffers(app)
            async with app:
                for number in range(MOST_CALLS):
                    ids = [f"{number}-{id}" for id in "ab"]
                    await app.queue(QUEUE).add_many([self.new(app, id) for id in ids])
                    has_died = await self._flush_and_die(app, death, number)
                    await self.outlast(clock, TAKEN_FOR)
                    await app.buffers.flush(["b"])
                    assert await app.buffers.buffer_size(["b"]) == {"b": 0}
                    assert await done_by(app, ids) == ids, f"died at call {number}"
                    if not has_died:
                        return
            raise AssertionError(f"a flush makes more than {MOST_CALLS} calls of the store")

    async def _flush_and_die(self, app: Conveyor, death: Death, call: int) -> bool:
        """Flush, and die at this call of the store; return whether there was such a call."""
        death.begin(call)
        try:
            await app.buffers.flush(["b"])
        except StoreUnavailableError:
            assert death.has_come
        finally:
            has_died, death.calls_left = death.has_come, None
        return has_died

    def test_processes_that_flush_at_once_share_no_job(
        self, make_storage: MakeStorage, store_url: str, is_shared: bool
    ) -> None:
        if not is_shared:
            pytest.skip("is_shared: other processes do not see what one keeps there")
        anyio.run(fill, store_url, make_storage)
        found = in_processes(store_url, partial(flush_in_crowd, make_storage), processes=2)
        assert sorted(id for ids in found for id in ids) == [f"{number:02}" for number in range(MANY)]


class Death:
    """Dies at one call of the store: it fails, and so does all that comes after it, since nobody is there to ask."""

    def __init__(self, kind: FaultKind) -> None:
        self.kind = kind
        self.calls_left: int | None = None
        self.has_come: bool = False

    def begin(self, call: int) -> None:
        """Let so many calls work."""
        self.calls_left, self.has_come = call, False

    def plan(self, call: StoreCall) -> FaultKind | None:
        """Say what becomes of a call."""
        # What the store tells of what was done is told at any time.
        if self.calls_left is None or call.facet == "notifier":
            return None
        if self.has_come:
            return FaultKind.FAIL_BEFORE
        self.calls_left -= 1
        self.has_come = self.calls_left < 0
        return self.kind if self.has_come else None


async def done_by(app: Conveyor, ids: list[str]) -> list[str]:
    """Return the work of those jobs that are done by jobs in the queue, in order."""
    jobs = await app.queue(QUEUE).jobs("waiting", 0, 2 * MOST_CALLS)
    return sorted(one for one in ids_of(jobs) if one in ids)


def ids_of(jobs: list[Job[object]]) -> list[str]:
    """Return what jobs are to do."""
    return [id for job in jobs for id in job.to_json()["payload"]["ids"]]


def app_over(store: Store, make_storage: MakeStorage) -> Conveyor:
    """Return an app over a storage of its own."""
    app = Conveyor(store, buffer_storage=make_storage())
    add_buffers(app)
    return app


async def fill(store_url: str, make_storage: MakeStorage) -> None:
    """Fill the buffer in an opening of its own."""
    async with open_store(store_url) as store, app_over(store, make_storage) as app:
        queue = app.queue(QUEUE)
        await queue.add_many([queue.new(NAME, {"ids": [f"{number:02}"]}) for number in range(MANY)])


async def flush_in_crowd(make_storage: MakeStorage, store: Store, start: Callable[[], object]) -> list[str]:
    """Flush when the others are there as well, until all is gone; return the work of what was added here."""
    async with app_over(store, make_storage) as app:
        await anyio.to_thread.run_sync(start)
        done: list[str] = []
        while await app.buffers.buffer_size(["b"]) != {"b": 0}:
            done += ids_of((await app.buffers.flush(["b"]))["b"])
            await anyio.lowlevel.checkpoint()
        return done
