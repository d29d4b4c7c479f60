"""Floors: bare asyncpg on one connection, with the store's own statements or leaner ones, and nothing around them.

Each returns jobs per second. What conveyor does is measured as a share of these, in the same run, because the
machine's own speed moves by more than a quarter from one minute to the next.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import uuid_utils
from conveyor_plugin_postgres.adding import add_columns
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.schema import apply_migrations
from conveyor_plugin_postgres.statements import Statements

from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["DRAINS", "FLOORS", "Bare", "measure"]

BATCH: Final = 100
BULK: Final = 1000
CALLERS: Final = 100
LOCK: Final = timedelta(seconds=30)
WANTS: Final = (["floor"], [BATCH], [False], [None], [False], [None], [None], [None])
PAYLOAD: Final = b'{"number":12345}'
SCHEMA: Final = "conveyor_floor"
# The best that these tables allow: nothing is asked but what moves a job on.
LEAN_FETCH: Final = f"""
update {SCHEMA}.live
set state = 'active', session_id = $1, fetch_number = $2, started_at = clock_timestamp()
where id = any(array(
  select id
  from {SCHEMA}.live
  where queue = 'floor' and state = 'waiting' and stalled_count = 0
  order by priority, order_at, order_seq
  limit $3
  for no key update skip locked
))
returning id, name, payload, attempts_made, created_at
"""
LEAN_SETTLE: Final = f"""
with gone as (
  delete from {SCHEMA}.live
  where id = any($1::text[]) and session_id = $2 and fetch_number = $3 and state = 'active'
  returning *
)
insert into {SCHEMA}.history (
  id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at, started_at,
  finished_at, session_id, payload, attempt, outcome
)
select
  id, seq, queue, name, 'completed', priority, attempts_made + 1, stalled_count, fetch_number, created_at, run_at,
  started_at, clock_timestamp(), session_id, payload, attempts_made + 1, 'completed'
from gone
"""


class Bare:
    """One connection to a schema of its own."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.statements = Statements(SCHEMA)
        self.session = uuid.uuid4().hex

    async def make(self) -> None:
        """Make the schema anew, with a session."""
        await self.connection.execute(f"drop schema if exists {SCHEMA} cascade")
        await apply_migrations(Part(self.connection, self.statements, None))
        await self.open_session()

    async def open_session(self) -> None:
        """Open a session in the schema that is there."""
        about = (self.session, "here", 1, "none", ["floor"])
        await self.connection.execute(self.statements["sessions/open"], *about, LOCK, None, 1, "", None)

    async def add(self, jobs: Sequence[NewJob]) -> None:
        """Add jobs in one statement."""
        await self.connection.fetchrow(self.statements["jobs/save_jobs"], *add_columns(jobs), None, False)

    async def fill(self, jobs: int) -> None:
        """Add jobs, a thousand in each statement."""
        for first in range(0, jobs, BULK):
            await self.add(_new_jobs(min(BULK, jobs - first)))

    async def fetch(self, session: str, number: int) -> None:
        """Lock up to a hundred."""
        await self.connection.fetch(self.statements[f"jobs/{STORES[0]}"], session, number, LOCK, *WANTS, None, None)


async def drain(bare: Bare) -> int:
    """Settle a hundred and fetch the next hundred in one statement, until all are done: the store's statement."""
    fetch, both = [await bare.connection.prepare(bare.statements[f"jobs/{name}"]) for name in STORES]
    number, done = 1, 0
    rows = await fetch.fetch(*_given(fetch, bare.session, number, LOCK, *WANTS))
    while rows:
        count = len(rows)
        ended = ([row[0] for row in rows], [bare.session] * count, [number] * count)
        number, done = number + 1, done + count
        said = (["completed"] * count, ["completed"] * count, *[None] * 7)
        rows = await both.fetch(*_given(both, *ended, *said, bare.session, number, LOCK, *WANTS))
    return done


async def drain_lean(bare: Bare) -> int:
    """Fetch a hundred, settle the hundred: two lean statements, without functions, sessions, pauses or expiry."""
    fetch = await bare.connection.prepare(LEAN_FETCH)
    settle = await bare.connection.prepare(LEAN_SETTLE)
    number = done = 0
    while rows := await fetch.fetch(bare.session, number, BATCH):
        await settle.fetch([row[0] for row in rows], bare.session, number)
        number, done = number + 1, done + len(rows)
    return done


async def _drained(drains: Callable[[Bare], Awaitable[int]], bare: Bare, jobs: int) -> float:
    await bare.fill(jobs)
    started = time.perf_counter()
    return _rate(await drains(bare), jobs, started)


async def add_concurrent(bare: Bare, jobs: int) -> float:
    """A hundred tasks, one job each at a time; one statement is on its way, and takes along whoever waits."""
    loop = asyncio.get_running_loop()
    waiting: list[tuple[NewJob, asyncio.Future[None]]] = []
    wanted = asyncio.Event()

    async def send() -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            group, waiting[:] = waiting[:], []
            await bare.add([job for job, _ in group])
            for _, future in group:
                future.set_result(None)

    async def call(count: int) -> None:
        for job in _new_jobs(count):
            future = loop.create_future()
            waiting.append((job, future))
            wanted.set()
            await future

    sender = loop.create_task(send())
    started = time.perf_counter()
    await asyncio.gather(*(call(jobs // CALLERS) for _ in range(CALLERS)))
    seconds = time.perf_counter() - started
    sender.cancel()
    return jobs // CALLERS * CALLERS / seconds


async def add_many(bare: Bare, jobs: int) -> float:
    """A thousand in each statement."""
    started = time.perf_counter()
    await bare.fill(jobs)
    return jobs / (time.perf_counter() - started)


STORES: Final = ("fetch_jobs", "settle_and_fetch")
FLOORS: Final[Mapping[str, Callable[[Bare, int], Awaitable[float]]]] = {
    "process": partial(_drained, drain),
    "process_lean": partial(_drained, drain_lean),
    "add_concurrent": add_concurrent,
    "add_many": add_many,
}


DRAINS: Final[Mapping[str, Callable[[Bare], Awaitable[int]]]] = {"floor": drain, "floor_lean": drain_lean}


async def _measure(url: str, name: str, jobs: int) -> float:
    connection: Any = await asyncpg.connect(url)
    try:
        bare = Bare(connection)
        await bare.make()
        return await FLOORS[name](bare, jobs)
    finally:
        await connection.execute(f"drop schema if exists {SCHEMA} cascade")
        await connection.close()


def measure(url: str, name: str, jobs: int) -> float:
    """Return a floor, in jobs per second."""
    return asyncio.run(_measure(url, name, jobs))


def _new_jobs(count: int) -> list[NewJob]:
    return [NewJob(str(uuid_utils.uuid7()), "floor", "nothing", PAYLOAD, JobOptions()) for _ in range(count)]


def _given(statement: Any, *arguments: object) -> tuple[object, ...]:
    """Return the arguments of a statement: those that are missing at its end are left open."""
    return (*arguments, *[None] * (len(statement.get_parameters()) - len(arguments)))


def _rate(done: int, jobs: int, started: float) -> float:
    seconds = time.perf_counter() - started
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} jobs were done")
    return done / seconds
