"""No statement of buffers reads a table from end to end, but the one that counts what is in them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
import uuid_utils
from conveyor_plugin_postgres import buffers
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.statements import Statements
from plans import Plans

from conveyor.model.buffers.values import FlushPlan
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.queries import AddReceipt

SIZE: Final = 100_000
MODES: Final = ("auto", "force_generic_plan", "force_custom_plan")
MINUTE: Final = timedelta(minutes=1)
TABLES: Final = ("buffered", "buffer_merges", "live", "history")
# Three buffers share the table; what was merged has its traces, and the queues have their jobs.
FILL: Final = """
insert into conveyor.buffered (id, buffer, queue, name, payload, size, added_at)
select 'kept-' || n, 'b-' || n % 3, 'search', 'reindex', '{}', 2, now() from generate_series(1, $1::bigint) as n
"""
FILL_MERGES: Final = """
insert into conveyor.buffer_merges (job_id, into_id, digest, merged_at)
select 'merged-' || n, 'live-' || n, '', now() - interval '1 day' * (n % 100) from generate_series(1, $1::bigint) as n
"""
FILL_LIVE: Final = """
insert into conveyor.live
  (id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, payload)
select 'live-' || n, n, 'search', 'reindex', 'waiting', 0, n, n, now(), now(), '{}'
from generate_series(1, $1::bigint) as n
"""
FILL_HISTORY: Final = """
insert into conveyor.history
  (id, seq, queue, name, state, priority, attempts_made, stalled_count, created_at, run_at, finished_at, payload)
select 'old-' || n, -n, 'search', 'reindex', 'completed', 0, 1, 0, now(), now(), now() - interval '1 second', ''
from generate_series(1, $1::bigint) as n
"""


class Flushing:
    """What is done with buffers, on one connection."""

    def __init__(self, connection: Any) -> None:
        """Bind to a connection."""
        self._part = Part(connection, Statements(), None)

    async def run(self) -> None:
        """Add, look, take, commit, cancel, remove and forget."""
        jobs = [NewJob(str(uuid_utils.uuid7()), "search", "reindex", b"{}", JobOptions()) for _ in range(20)]
        ids = [job.id for job in jobs]
        assert len(await buffers.add(self._part, "new", jobs)) == len(jobs)
        await buffers.add(self._part, "new", [*jobs[:2], NewJob(ids[0], "search", "x", b"", JobOptions())])
        assert (await buffers.find_places(self._part, ids)).keys() == {*ids}
        assert await buffers.find_ids(self._part, ids[0], 10) == ids[:1]
        assert len(await buffers.find_ids(self._part, "merged-1", 10)) == 10
        assert await buffers.remove_buffered(self._part, ids.pop())
        assert await buffers.cancel_buffered(self._part, ids.pop(), "why not")
        await self._flush("first", 8, FlushPlan(ids[:8], jobs[:1], dict.fromkeys(ids[1:8], ids[0])))
        plan = FlushPlan(ids[8:], jobs[8 : len(ids)], {}, failure="out of ideas")
        await self._flush("second", 100, plan)
        await self._flush("second", 0, plan)
        await buffers.take(self._part, "b-1", "third", MINUTE, 100)
        await self._part.execute("buffers/release", "third")
        await buffers.forget_merged(self._part, timedelta(days=99), 10)

    async def _flush(self, token: str, limit: int, plan: FlushPlan) -> Sequence[AddReceipt]:
        if limit:
            assert len(await buffers.take(self._part, "new", token, MINUTE, limit)) == len(plan.taken)
        return await buffers.commit(self._part, token, plan)


async def complaints_at(url: str, *, is_analysed: bool) -> list[str]:
    """Return what is wrong with any plan, whether or not the server knows how large the tables are."""
    connection: Any = await asyncpg.connect(url)
    try:
        for statement in (FILL, FILL_MERGES, FILL_LIVE, FILL_HISTORY):
            await connection.execute(statement, SIZE)
        if is_analysed:
            await connection.execute(f"analyze {', '.join(f'conveyor.{table}' for table in TABLES)}")
        plans = Plans(connection)
        await plans.watch()
        found: list[str] = []
        flushing = Flushing(connection)
        for mode in MODES:
            await connection.execute(f"set plan_cache_mode = {mode}")
            # From the sixth time on `auto` may keep a plan for all.
            for _ in range(6 if mode == "auto" else 1):
                await flushing.run()
                found += [f"{mode}: {complaint}" for complaint in plans.take_complaints()]
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize("is_analysed", [True, False])
def test_no_statement_of_buffers_reads_a_table_from_end_to_end(empty_url: str, is_analysed: bool) -> None:
    assert asyncio.run(complaints_at(empty_url, is_analysed=is_analysed)) == []
