"""Buffer storages from which processes flush that are killed."""

from __future__ import annotations

import multiprocessing
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final

import anyio
import pytest
from attrs import evolve, frozen

from conveyor._app import Conveyor
from conveyor.contracts.buffer_storage import TransactionalBufferStorage
from conveyor.model.buffers.job_buffer import JobBuffer
from conveyor.model.buffers.reducing import union
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.storage_kit import NAME, QUEUE, TAKEN_FOR, MakeStorage, StorageKit
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from multiprocessing.connection import Connection

    from conveyor.model.buffers.job_buffer import Reduce
    from conveyor.model.buffers.values import BufferedJob

__all__ = ["StorageDeaths"]

IDS: Final = [f"{number:02}" for number in range(40)]
CHUNK: Final = 2
# In which chunk each process dies: the first while it reduces, the others wherever they are behind that.
DEATHS: Final = (2, 3, 5)
BACKENDS: Final = ("asyncio", "trio")
REDUCE: Final = union("ids")
PATIENCE_SECONDS: Final = 60


@frozen
class Opening:
    """Where the jobs are, and when somebody opens that; all clocks stand still."""

    store_url: str
    make_storage: MakeStorage
    now: datetime

    @asynccontextmanager
    async def app(self, reduce: Reduce = REDUCE) -> AsyncIterator[Conveyor]:
        """Open an app with the buffer."""
        clock = ManualClock(self.now)
        async with open_store(self.store_url, clock=clock) as store:
            app = Conveyor(store, buffer_storage=self.make_storage(), clock=clock)
            app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=reduce, chunk_size=CHUNK))
            async with app:
                yield app


class StorageDeaths(StorageKit):
    """Nothing is lost with a process, and nothing is added twice."""

    def test_processes_that_are_killed_as_they_flush_leave_each_job_to_be_done_once(
        self, make_storage: MakeStorage, store_url: str, is_shared: bool
    ) -> None:
        if not is_shared:
            pytest.skip("is_shared: other processes do not see what one keeps there")
        if not isinstance(make_storage(), TransactionalBufferStorage):
            pytest.skip("the storage clears a buffer before its jobs are added")
        opening = Opening(store_url, make_storage, datetime.now(UTC))
        anyio.run(fill, opening)
        for number, chunk in enumerate(DEATHS):
            flush_and_die(opening, chunk, hangs=not number, backend=BACKENDS[number % 2])
            # Until then the dead one has what it took.
            opening = evolve(opening, now=opening.now + 2 * TAKEN_FOR)
            anyio.run(self.outlast, ManualClock(opening.now), TAKEN_FOR)
        assert sorted(anyio.run(flush_the_rest, opening)) == IDS


def flush_and_die(opening: Opening, chunk: int, *, hangs: bool, backend: str) -> None:
    """Start a process that flushes, and kill it as soon as it has begun to reduce this chunk, counted from 0."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (opening, chunk if hangs else None, backend, sender)
    process = context.Process(target=_flush, args=arguments, daemon=True)
    process.start()
    sender.close()
    try:
        for expected in range(chunk + 1):
            assert receiver.poll(PATIENCE_SECONDS), "it flushes no more"
            assert receiver.recv() == expected
    finally:
        process.kill()
        process.join(PATIENCE_SECONDS)
        receiver.close()


def _flush(opening: Opening, hangs_at: int | None, backend: str, sender: Connection) -> None:
    anyio.run(_flush_and_say, opening, hangs_at, sender, backend=backend)


async def _flush_and_say(opening: Opening, hangs_at: int | None, sender: Connection) -> None:
    """Flush, and say the number of each chunk as it is reduced; wait for the end in one of them."""
    numbers = count()

    async def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        number = next(numbers)
        sender.send(number)
        if number == hangs_at:
            await anyio.sleep_forever()
        return REDUCE(jobs)

    async with opening.app(reduce) as app:
        await app.buffers.flush()


async def fill(opening: Opening) -> None:
    """Put a job for each id into the buffer."""
    async with opening.app() as app:
        queue = app.queue(QUEUE)
        await queue.add_many([queue.new(NAME, {"ids": [id]}) for id in IDS])


async def flush_the_rest(opening: Opening) -> list[str]:
    """Flush what the dead left; return the work of all jobs that are in the queue then."""
    async with opening.app() as app:
        # Each of them committed the chunks before that in which it died.
        assert len(await app.queue(QUEUE).jobs("waiting", 0, len(IDS))) >= sum(DEATHS)
        await app.buffers.flush()
        assert await app.buffers.buffer_size() == {"b": 0}
        jobs = await app.queue(QUEUE).jobs("waiting", 0, len(IDS))
        return [id for job in jobs for id in job.to_json()["payload"]["ids"]]
