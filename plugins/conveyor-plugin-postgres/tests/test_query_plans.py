"""No statement of the hot path reads a table from end to end, whatever the server knows or believes of its size."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
import uuid_utils
from attrs import evolve
from conveyor_plugin_postgres import adding, changes, fetching, journal, locking, reading, schedules, settling
from conveyor_plugin_postgres.low_water import Start
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.statements import Statements
from plans import Plans

from conveyor.codec import encode_limits
from conveyor.model.deduplication import Deduplication
from conveyor.model.groups import Group
from conveyor.model.job import AttemptOutcome, LogEntry, NewJob, Progress, ProgressReport
from conveyor.model.limits import GroupLimits, NameLimits, QueueLimits, RateLimit
from conveyor.model.locks import Lock, LockToken
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from conveyor_plugin_postgres.part import Row

SIZES: Final = (0, 1_000, 100_000, *((1_000_000,) if os.environ.get("CONVEYOR_FULL") else ()))
LARGE: Final = 100_000
MODES: Final = ("auto", "force_generic_plan", "force_custom_plan")
LOCK: Final = timedelta(seconds=30)
SESSION: Final = "f" * 32
QUEUE: Final = "default"
LIMITED: Final = "limited"
GROUPED: Final = "grouped"
TURNS: Final = "turns"
TABLES: Final = (
    "live",
    "history",
    "attempts",
    "logs",
    "sessions",
    "queues",
    "queue_groups",
    "rates",
    "starts",
    "schedules",
)
# Of ten jobs that live, one is delayed, one stalled before, one is of a session that is gone.
FILL: Final = """
insert into conveyor.live
  (id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, payload, stalled_count, session_id,
   fetch_number, expires_at)
select 'live-' || n, n, 'default', 'noop', case n % 10 when 0 then 'delayed' when 1 then 'active' else 'waiting' end,
       0, n, n, now(), now() + interval '1 day', '', case n % 10 when 2 then 1 else 0 end, repeat('e', 32), 1,
       case n % 10 when 3 then now() + interval '1 day' end
from generate_series(1, $1::bigint) as n
"""
FILL_HISTORY: Final = """
insert into conveyor.history
  (id, seq, queue, name, state, priority, attempts_made, stalled_count, created_at, run_at, finished_at, payload)
select 'old-' || n, -n, 'default', 'noop', 'completed', 0, 1, 0, now(), now(), now() - interval '1 second', ''
from generate_series(1, $1::bigint) as n
"""
# Those with a limit, and a thousand groups.
FILL_GUARDED: Final = """
insert into conveyor.live
  (id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, payload, group_id)
select queue || '-' || n, n, queue, 'noop', 'waiting', 0, n, n, now(), now(), '',
       case when queue <> 'limited' then 'g-' || n % 1000 end
from generate_series(1, $1::bigint / 2) as n, (values ('limited'), ('grouped'), ('turns')) as kinds(queue)
"""
# All are due in a day.
FILL_SCHEDULES: Final = """
insert into conveyor.schedules (id, queue, name, payload, rule, state, due_at)
select 'schedule-' || n, 'default', 'noop', '', '{}', '{}', now() + interval '1 day'
from generate_series(1, $1::bigint) as n
"""
# All are due, since one moment.
FILL_DUE: Final = """
insert into conveyor.schedules (id, queue, name, payload, rule, state, due_at)
select 'schedule-' || n, 'default', 'noop', '', '{}', '{}', now() - interval '1 hour'
from generate_series(1, $1::bigint) as n
"""
FILL_JOURNAL: Final = """
with runs as (
  insert into conveyor.attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome)
  select 'live-' || n, 1, repeat('e', 32), 1, now(), now(), 'failed' from generate_series(1, $1::bigint) as n
)
insert into conveyor.logs (job_id, message, at) select 'live-' || n, '', now() from generate_series(1, $1::bigint) as n
"""
FILL_ANSWERS: Final = """
insert into conveyor.deduplicated_adds (digest, job_id, outcome, forget_at)
select decode(md5(n::text), 'hex'), 'gone', 'kept', now() - interval '1 hour' from generate_series(1, 5000) as n
"""


class HotPath:
    """Every operation that a producer or a worker repeats for its jobs, on one connection."""

    def __init__(self, connection: Any) -> None:
        self._part = Part(connection, Statements(), None)
        self._number = 0

    async def open(self) -> None:
        """Have a session."""
        about = (SESSION, "here", 1, "none", [QUEUE])
        await self._part.execute("sessions/open", *about, LOCK, None, 1, "", None)
        rate = RateLimit(10**6, "1s")
        for queue, limits in (
            (LIMITED, QueueLimits(10**6, rate)),
            (TURNS, QueueLimits(10**6, group=GroupLimits(10**6, weights={"g-1": 3}))),
            (GROUPED, QueueLimits(group=GroupLimits(10**6, rate), names={"noop": NameLimits(10**6, rate)})),
        ):
            await self._part.execute("limits/set_limits_guard", queue)
            await self._part.execute("limits/set_limits", queue, encode_limits(limits).decode())

    async def run(self) -> None:
        """Do everything once that is done for each group of jobs."""
        await self.add()
        token = await self._fetch(Want(QUEUE, 5), place=(0, 1, 1))
        await self._fetch(Want(QUEUE, 5), again=True)
        await self._fetch(Want(QUEUE, 5, lifo=True))
        await self._fetch(Want(QUEUE, 1, is_suspect=True))
        await self._fetch(Want(QUEUE, 1, job_name="noop"))
        await self._journal(Lock(self._held[0], token))
        await self._settle(token)
        await self._fetch(Want(LIMITED, 5))
        await self._fetch(Want(LIMITED, 5, lifo=True))
        await self._fetch(Want(GROUPED, 5))
        await self._fetch(Want(TURNS, 5))
        await self._fetch(Want(GROUPED, 5, lifo=True, job_name="noop"))
        await self._fetch(Want(GROUPED, 5, is_suspect=True))
        await changes.promote_delayed_jobs(self._part, [QUEUE], 100)
        await reading.get_next_delayed_timestamp(self._part, [QUEUE])
        await reading.get_suspect_queues(self._part, [QUEUE])

    async def run_rest(self) -> None:
        """Do what is done once in a while. A small table is read as a whole for it, and why not."""
        await locking.extend_locks(self._part, [Lock(self._held[0], LockToken(SESSION, self._number))], LOCK)
        await locking.get_stalled_jobs(self._part, timedelta(0), 10)
        await schedules.look_ahead(self._part)
        await schedules.fire_due(self._part, 10)
        await schedules.look(self._part, "nobody")

    async def add(self) -> None:
        """Add jobs of each kind, and some again."""
        jobs = [NewJob(str(uuid_utils.uuid7()), QUEUE, "noop", b"[]", JobOptions()) for _ in range(20)]
        await adding.save_jobs(self._part, jobs)
        for group in (None, *(Group(f"group-{number}", max_size=10**6) for number in range(5))):
            await self._add_to(LIMITED if group is None else GROUPED, JobOptions(group=group))
            await self._add_to(TURNS, JobOptions(group=group))
        receipts = await adding.save_jobs(self._part, [*jobs[:10], NewJob(jobs[0].id, QUEUE, "x", b"", JobOptions())])
        assert receipts[-1].outcome == "duplicate"
        keyed = [evolve(job, id=f"k{job.id}", deduplication=Deduplication(key=job.id, mode="replace")) for job in jobs]
        assert {receipt.outcome for receipt in await adding.save_jobs(self._part, keyed)} == {"added"}
        again = [evolve(job, id=f"k{job.id}") for job in keyed]
        assert {receipt.outcome for receipt in await adding.save_jobs(self._part, again)} == {"replaced"}
        kept = [evolve(job, id=f"q{job.id}", deduplication=Deduplication(key=job.id)) for job in jobs]
        assert {receipt.outcome for receipt in await adding.save_jobs(self._part, kept)} == {"kept"}
        # Kept while it is active, which it is not: the key is free again; the last looks for settled jobs, too.
        for states in (["active"], ["failed", "active"]):
            freed = [
                evolve(job, id=str(uuid_utils.uuid7()), deduplication=Deduplication(key=job.id, states=states))
                for job in jobs
            ]
            assert {receipt.outcome for receipt in await adding.save_jobs(self._part, freed)} == {"added"}

    async def _add_to(self, queue: str, options: JobOptions) -> None:
        await adding.save_jobs(self._part, [NewJob(str(uuid_utils.uuid7()), queue, "noop", b"[]", options)] * 2)

    async def _fetch(self, want: Want, *, place: Any = None, again: bool = False) -> LockToken:
        self._number += not again
        start = Start((place,), (0,))
        fetch = fetching.fetch_columns([want], start, SESSION, LOCK, self._number)
        self._held = [row[0] for row in await fetching.fetch_jobs(self._part, fetch)] or ["none"]
        return LockToken(SESSION, self._number)

    async def _journal(self, lock: Lock) -> None:
        await journal.set_progress(self._part, [ProgressReport(lock, Progress(0.5))])
        await journal.append_logs(self._part, [LogEntry(lock.job_id, "line", lock=lock)])
        await locking.release_locks(self._part, [lock])
        await self._part.execute("sessions/renew", SESSION, LOCK, None)

    async def _settle(self, stale: LockToken) -> None:
        self._number += 1
        start = Start((None,), (0,))
        fetch = fetching.fetch_columns([Want(QUEUE, 10)], start, SESSION, LOCK, self._number)
        rows: Sequence[Row] = await fetching.fetch_jobs(self._part, fetch)
        token = LockToken(SESSION, self._number)
        ids = [row[0] for row in rows]
        ways: Sequence[Callable[[str], Settlement]] = (
            lambda job: Settlement(job, QUEUE, token, Command.COMPLETE, AttemptOutcome.COMPLETED),
            lambda job: Settlement(job, QUEUE, token, Command.RETRY, AttemptOutcome.FAILED),
            lambda job: Settlement(job, QUEUE, token, Command.COMPLETE, AttemptOutcome.COMPLETED, is_removed=True),
            lambda job: Settlement(job, QUEUE, stale, Command.COMPLETE, AttemptOutcome.COMPLETED),
        )
        settlements = [ways[number % len(ways)](job) for number, job in enumerate(ids)]
        assert not (await settling.settle_jobs(self._part, [one for one in settlements if one.token == token])).refused
        refused = (await settling.settle_apart(self._part, settlements)).refused
        assert len(refused) == len(ids[3::4])
        self._number += 1
        fetch = fetching.fetch_columns([Want(QUEUE, 10)], start, SESSION, LOCK, self._number)
        again = [ways[0](job) for job in ids[3::4]]
        refused, _ = await settling.settle_and_fetch(self._part, again or [ways[0]("none")], fetch)
        assert not again or not refused


async def fill(connection: Any, size: int) -> None:
    """Make all tables as large, without the server's knowing."""
    for statement in (FILL, FILL_GUARDED, FILL_HISTORY, FILL_JOURNAL, FILL_SCHEDULES):
        await connection.execute(statement, size)


@asynccontextmanager
async def known_by_us_alone(connection: Any) -> AsyncIterator[None]:
    """Let the server learn of the tables' sizes when a test says so, and not by itself in the middle of it."""
    for table in TABLES:
        await connection.execute(f"alter table conveyor.{_own(table)} set (autovacuum_enabled = off)")
    try:
        yield
    finally:
        for table in TABLES:
            await connection.execute(f"alter table conveyor.{_own(table)} reset (autovacuum_enabled)")


def _own(table: str) -> str:
    # A partitioned table has no rows of its own; what these tests add is in the part for the rest.
    return "history_other" if table == "history" else table


async def complaints_of(plans: Plans, hot_path: HotPath, connection: Any, *, rest: bool) -> list[str]:
    """Run everything in each way to plan; five times plain, as from the sixth on `auto` may keep a plan for all."""
    found: list[str] = []
    for mode in MODES:
        await connection.execute(f"set plan_cache_mode = {mode}")
        for _ in range(6 if mode == "auto" else 1):
            await hot_path.run()
            if rest:
                await hot_path.run_rest()
            found += [f"{mode}: {complaint}" for complaint in plans.take_complaints()]
    return found


@pytest.mark.parametrize("is_known_to_be_empty", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_no_table_is_read_from_end_to_end(empty_url: str, size: int, *, is_known_to_be_empty: bool) -> None:
    async def check() -> None:
        connection: Any = await asyncpg.connect(empty_url)
        plans, hot_path = Plans(connection), HotPath(connection)
        try:
            async with known_by_us_alone(connection):
                await plans.watch()
                await hot_path.open()
                if is_known_to_be_empty:
                    await connection.execute(f"vacuum analyze {', '.join(f'conveyor.{table}' for table in TABLES)}")
                # The first plans are made for empty tables, and kept while these grow.
                assert await complaints_of(plans, hot_path, connection, rest=False) == []
                await fill(connection, size)
                plans.take()
                assert await complaints_of(plans, hot_path, connection, rest=size >= LARGE) == []
                for table in TABLES:
                    await connection.execute(f"analyze conveyor.{table}")
                assert await complaints_of(plans, hot_path, connection, rest=size >= LARGE) == []
        finally:
            await connection.close()

    asyncio.run(check())


def test_an_answer_is_looked_for_by_its_digest_whatever_the_server_expects_of_times(empty_url: str) -> None:
    async def check() -> None:
        connection: Any = await asyncpg.connect(empty_url)
        plans, hot_path = Plans(connection), HotPath(connection)
        try:
            await hot_path.open()
            # As it knows, nothing is later than an hour ago: an index by time would give nothing to look through.
            await connection.execute(FILL_ANSWERS)
            await connection.execute("analyze conveyor.deduplicated_adds")
            await plans.watch()
            await hot_path.add()
            looks = [node for node in plans.take_nodes() if node.get("Alias") == "adds" and "Index Name" in node]
            assert {node["Index Name"] for node in looks} == {"deduplicated_adds_pkey"}
        finally:
            await connection.close()

    asyncio.run(check())


def test_of_schedules_that_are_due_at_one_moment_no_more_are_read_than_fired(empty_url: str) -> None:
    async def check() -> None:
        connection: Any = await asyncpg.connect(empty_url)
        plans = Plans(connection)
        try:
            await connection.execute(FILL_DUE, 1_000)
            await connection.execute("analyze conveyor.schedules")
            await plans.watch()
            part = Part(connection, Statements(), None)
            assert len(await part.fetch("schedules/fire_schedules", await part.now(), 10)) == 10
            nodes = plans.take_nodes()
            assert [node["Actual Rows"] for node in nodes if node.get("Index Name") == "schedules_due"] == [10]
            assert not [node for node in nodes if node["Node Type"] == "Incremental Sort"]
        finally:
            await connection.close()

    asyncio.run(check())


def test_a_complaint_is_made_where_a_table_is_read(empty_url: str) -> None:
    async def check() -> None:
        connection: Any = await asyncpg.connect(empty_url)
        plans = Plans(connection)
        try:
            await plans.watch()
            await connection.fetch("select count(*) from conveyor.live where name = 'noop'")
            assert [complaint.partition(":")[0] for complaint in plans.take_complaints()] == ["Seq Scan of live"]
        finally:
            await connection.close()

    asyncio.run(check())
