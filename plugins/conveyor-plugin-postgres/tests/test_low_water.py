"""The mark from which fetches start: it saves looking at what is gone, and starves nobody."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import anyio
import asyncpg
import pytest
import uuid_utils
from conveyor_plugin_postgres.low_water import LowWater

from conveyor.model.events import Notification, NotificationKind
from conveyor.model.job import NewJob
from conveyor.model.locks import Lock
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio

QUEUE: Final = "default"
LOCK: Final = timedelta(seconds=60)
WANT: Final = Want(QUEUE, 2)
NEVER: Final = "full_fetch_interval=1h"
DEADLINE_SECONDS: Final = 20
ADD: Final = "select conveyor.add_jobs($1, $2, $3, $4, null, $5)"


def row(priority: int, order_at: int, order_seq: int) -> tuple[Any, ...]:
    """Return as much of a fetched row as is looked at."""
    return (None, QUEUE, *[None] * 4, priority, *[None] * 12, order_at, order_seq)


def learn(low_water: LowWater, *places: tuple[int, int, int], want: Want = WANT) -> None:
    """Have a fetch bring jobs of these places."""
    low_water.learn([want], low_water.begin([want]), [row(*place) for place in places])


async def test_a_full_answer_moves_the_mark_to_its_last_job() -> None:
    low_water = LowWater(60)
    assert low_water.begin([WANT]).columns == ([None], [None], [None])
    learn(low_water, (0, 8, 3), (0, 7, 2))
    assert low_water.begin([WANT]).columns == ([0], [8], [3])


async def test_an_answer_that_is_not_full_removes_the_mark() -> None:
    low_water = LowWater(60)
    learn(low_water, (0, 7, 2), (0, 8, 3))
    learn(low_water, (0, 9, 4))
    assert low_water.begin([WANT]).places == (None,)


@pytest.mark.parametrize("kind", [NotificationKind.ADDED, NotificationKind.CHANGED, NotificationKind.ANYTHING])
@pytest.mark.parametrize("queue_name", ["", QUEUE])
async def test_a_hint_removes_the_mark_and_what_is_under_way_makes_none(
    kind: NotificationKind, queue_name: str
) -> None:
    low_water = LowWater(60)
    learn(low_water, (0, 7, 2), (0, 8, 3))
    under_way = low_water.begin([WANT])
    low_water.hear(Notification(kind, queue_name))
    low_water.learn([WANT], under_way, [row(0, 9, 4), row(0, 10, 5)])
    assert low_water.begin([WANT]).places == (None,)


async def test_hints_of_other_queues_and_of_jobs_that_ended_leave_it() -> None:
    low_water = LowWater(60)
    learn(low_water, (0, 7, 2), (0, 8, 3))
    low_water.hear(Notification(NotificationKind.ADDED, "elsewhere"))
    low_water.hear(Notification(NotificationKind.FINISHED, QUEUE))
    assert low_water.begin([WANT]).places == ((0, 8, 3),)


@pytest.mark.parametrize(
    "want", [Want(QUEUE, 2, lifo=True), Want(QUEUE, 2, job_name="noop"), Want(QUEUE, 2, is_suspect=True)]
)
async def test_other_wants_neither_make_a_mark_nor_use_it(want: Want) -> None:
    low_water = LowWater(60)
    learn(low_water, (0, 7, 2), (0, 8, 3), want=want)
    assert low_water.begin([WANT]).places == (None,)
    learn(low_water, (0, 7, 2), (0, 8, 3))
    assert low_water.begin([want]).places == (None,)


async def test_a_fetch_looks_from_the_start_at_every_interval() -> None:
    low_water = LowWater(0.05)
    learn(low_water, (0, 7, 2), (0, 8, 3))
    assert low_water.begin([WANT]).places == ((0, 8, 3),)
    await anyio.sleep(0.06)
    assert low_water.begin([WANT]).places == (None,)


class Fetching:
    """A worker session that fetches by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.session = uuid_utils.uuid4().hex
        self.number = 0

    async def fetch(self, limit: int = 2) -> list[str]:
        """Return the ids of the next jobs, which end at once."""
        self.number += 1
        jobs = await self.store.jobs.fetch_jobs([Want(QUEUE, limit)], self.session, LOCK, fetch_number=self.number)
        self.locks = [Lock(job.id, job.token) for job in jobs if job.token]
        await self.store.jobs.settle_jobs([settle_completed(job, None) for job in jobs])
        return [job.payload.decode() for job in jobs]


@asynccontextmanager
async def fetching(url: str) -> AsyncIterator[Fetching]:
    """Open a store for a session."""
    async with open_store(url) as store:
        fetching = Fetching(store)
        await store.sessions.open(SessionInfo(fetching.session, "here", 1, "none", (QUEUE,)), LOCK)
        yield fetching


async def add(store: Store, *names: str, priority: int = 0) -> None:
    """Add jobs."""
    await store.jobs.save_jobs(new_jobs(names, priority))


def new_jobs(names: Sequence[str], priority: int = 0) -> list[NewJob]:
    """Return jobs whose payloads are their names."""
    options = JobOptions(priority=priority)
    return [NewJob(str(uuid_utils.uuid7()), QUEUE, "noop", name.encode(), options) for name in names]


async def test_what_comes_before_the_mark_is_found_where_nothing_is_left_after_it(empty_url: str) -> None:
    """Without hints and without an interval: the other store tells nobody that it added a job."""
    async with fetching(f"{empty_url}?{NEVER}") as worker, open_store(empty_url) as other:
        await add(worker.store, "a", "b", "c")
        assert await worker.fetch() == ["a", "b"]
        await add(other, "urgent", priority=-1)
        assert await worker.fetch() == ["urgent", "c"]
        assert await worker.fetch() == []


async def test_an_urgent_job_of_this_process_goes_first(empty_url: str) -> None:
    async with fetching(f"{empty_url}?{NEVER}") as worker:
        await add(worker.store, *"abcdef")
        assert await worker.fetch() == ["a", "b"]
        await add(worker.store, "urgent", priority=-1)
        assert await worker.fetch() == ["urgent", "c"]


async def test_an_urgent_job_of_another_process_waits_no_longer_than_the_interval(empty_url: str) -> None:
    """Nobody listens here: a worker would hear of it at once."""
    async with fetching(f"{empty_url}?full_fetch_interval=50ms") as worker, open_store(empty_url) as other:
        await add(worker.store, *map(str, range(2000)))
        await worker.fetch()
        await add(other, "urgent", priority=-1)
        added_at = anyio.current_time()
        while "urgent" not in await worker.fetch():
            assert anyio.current_time() - added_at < 1


async def test_jobs_that_are_handed_back_keep_their_place(empty_url: str) -> None:
    async with fetching(f"{empty_url}?{NEVER}") as worker:
        await add(worker.store, *"abcdef")
        jobs = await worker.store.jobs.fetch_jobs([WANT], worker.session, LOCK, fetch_number=1)
        await worker.store.jobs.release_locks([Lock(job.id, job.token) for job in jobs if job.token])
        worker.number = 1
        assert await worker.fetch() == ["a", "b"]


async def add_late(url: str, names: Sequence[str], seed: int) -> None:
    """Add jobs as any client does, and commit a little later."""
    random_ = random.Random(seed)
    connection: Any = await asyncpg.connect(url)
    try:
        for first in range(0, len(names), 4):
            payloads = [name.encode() for name in names[first : first + 4]]
            ids, count = [str(uuid_utils.uuid7()) for _ in payloads], len(payloads)
            priorities = [random_.randrange(3)] * count
            async with connection.transaction():
                await connection.execute(ADD, ids, [QUEUE] * count, ["noop"] * count, payloads, priorities)
                await asyncio.sleep(random_.random() / 50)
    finally:
        await connection.close()


async def in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own, in a thread."""
    await anyio.to_thread.run_sync(asyncio.run, work)


async def test_adders_that_commit_late_and_out_of_order_lose_no_job(empty_url: str) -> None:
    """Their jobs' places are of the time when they added: when they commit, these are often before the mark."""
    names = [f"{caller}-{number}" for caller in range(8) for number in range(40)]
    found: list[str] = []
    with anyio.fail_after(DEADLINE_SECONDS):
        async with fetching(empty_url) as worker, anyio.create_task_group() as tasks:
            for caller in range(8):
                own = names[caller * 40 : caller * 40 + 40]
                tasks.start_soon(in_thread, add_late(empty_url, own, caller))
            while len(found) < len(names):
                found += await worker.fetch()
    assert sorted(found) == sorted(names)
