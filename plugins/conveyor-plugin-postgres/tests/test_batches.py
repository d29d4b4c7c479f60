"""What is particular to batch jobs here: their plans, and that a step leaves the indexes as they are."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
from attrs import evolve
from conveyor_plugin_postgres import batch_part_rows, batch_steps, batches
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.statements import Statements
from plans import Plans

from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchChange, BatchFilter, BatchStep, NewBatchJob, RowError
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MODES: Final = ("auto", "force_generic_plan", "force_custom_plan")
MANY: Final = 100_000
# All have ended but one in a thousand, whose job waits; there are as many bad rows, of a thousand.
FILL: Final = """
insert into conveyor.batches
  (id, batch_type, status, dry_run, confirmation, created_at, updated_at, ended_at, job_id, context, history, digest)
select 'old-' || n, 'import', case n % 1000 when 0 then 'confirmed' else 'completed' end, false, 'automatic',
       now() - n * interval '1 second', now(), case n % 1000 when 0 then null else now() - interval '1 day' end,
       'old-' || n, '', '[]', ''
from generate_series(1, $1::bigint) as n
"""
FILL_JOBS: Final = """
insert into conveyor.live
  (id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, payload)
select 'old-' || n, n, 'batches', 'import', 'waiting', 0, n, n, now(), now(), ''
from generate_series(1, $1::bigint) as n
"""
FILL_ERRORS: Final = """
insert into conveyor.batch_errors (batch_id, row_number, error)
select 'old-' || n % 1000, n, '["bad", "bad", null, "", [], false]'
from generate_series(1, $1::bigint) as n
"""
FILL_PARTS: Final = """
insert into conveyor.batch_parts (batch_id, number, span, job_id)
select 'old-' || n / 4, n % 4, '', 'old-' || n
from generate_series(1, $1::bigint) as n
"""

UPDATES: Final = "select n_tup_hot_upd, n_tup_upd from pg_stat_user_tables where relname = 'batches'"


class Line:
    """One connection, on which a batch job is processed."""

    def __init__(self, connection: Any) -> None:
        self.part = Part(connection, Statements(), None)
        self._number = 0

    async def start(self) -> None:
        """Create a batch job and bring it to where steps are saved."""
        await batches.create_batch(self.part, NewBatchJob("b", "import", b"{}", identity="b"), self._job("pre"))
        for command in (BatchCommand.PRE_PROCESS, BatchCommand.CONFIRM, BatchCommand.START):
            change = BatchChange(command, command, run="run" if command is BatchCommand.START else None)
            await batches.change_batch(self.part, "b", evolve(change, job=self._job(command)))

    async def step(self) -> None:
        """Save a step with a bad row, and save it again."""
        self._number += 1
        step = BatchStep(self._number, b"1", self._number, errors=[RowError(self._number, "bad", "bad")])
        assert await batch_steps.save_step(self.part, "b", "run", step) == (BatchStatus.PROCESSING, True)
        assert await batch_steps.save_step(self.part, "b", "run", step) == (BatchStatus.PROCESSING, False)

    @staticmethod
    def _job(job_id: str) -> NewJob:
        return NewJob(job_id, "batches", "import", b"{}", JobOptions())


def on_a_line(url: str, check: Callable[[Line, Plans, Any], Awaitable[None]]) -> None:
    """Run a check on a connection whose plans are watched."""

    async def run() -> None:
        connection: Any = await asyncpg.connect(url)
        plans = Plans(connection)
        try:
            await plans.watch()
            await check(Line(connection), plans, connection)
        finally:
            await connection.close()

    asyncio.run(run())


async def fill(connection: Any) -> None:
    """Have many batch jobs, bad rows and jobs."""
    for statement in (FILL, FILL_JOBS, FILL_ERRORS, FILL_PARTS):
        await connection.execute(statement, MANY)
    await connection.execute("analyze conveyor.batches, conveyor.batch_errors, conveyor.batch_parts, conveyor.live")


async def updates(connection: Any) -> tuple[int, int]:
    """Return how many updates of batch jobs left the indexes as they were, and how many there were."""
    await connection.execute("select pg_stat_force_next_flush()")
    hot, every = await connection.fetchrow(UPDATES)
    return hot, every


def test_a_step_reads_no_table_whatever_was_there_when_it_was_planned(empty_url: str) -> None:
    async def check(line: Line, plans: Plans, connection: Any) -> None:
        await line.start()
        plans.take()
        for is_full in (False, True):
            if is_full:
                await fill(connection)
                plans.take()
            for mode in MODES:
                await connection.execute(f"set plan_cache_mode = {mode}")
                for _ in range(6):  # from the sixth on `auto` may keep a plan for all
                    await line.step()
                assert plans.take_complaints() == []

    on_a_line(empty_url, check)


@pytest.mark.parametrize("mode", MODES)
def test_batch_jobs_are_found_by_indexes(empty_url: str, mode: str) -> None:
    async def check(line: Line, plans: Plans, connection: Any) -> None:
        await fill(connection)
        await connection.execute(f"set plan_cache_mode = {mode}")
        part, end = line.part, (None, None)
        page = await batches.find_batches(part, BatchFilter(), end, 10)
        last = page.batches[-1]
        plans.take()
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "batches_newest": lambda: batches.find_batches(part, BatchFilter(types=("import",)), end, 10),
            "batches_newest ": lambda: batches.find_batches(part, BatchFilter(), (last.created_at, last.id), 10),
            "batches_worked": lambda: batches.find_stranded(part, 10),
            "batches_pkey": lambda: batches.look(part, last.id),
            "batch_errors_pkey": lambda: batches.get_errors(part, "old-1", 500, 10),
            "batch_parts_pkey": lambda: batch_part_rows.read_parts(part, "old-1"),
            "batch_parts_pkey ": lambda: batch_part_rows.find_part(part, "old-1", 3),
            "batches_ended": lambda: batches.remove_ended(part, timedelta(hours=1), None, 10),
        }
        for index, ask in asked.items():
            await ask()
            nodes = plans.take_nodes()
            assert index.strip() in {node.get("Index Name") for node in nodes}, index
            read = [node for node in nodes if node["Node Type"] in {"Seq Scan", "Sort"}]
            assert read == [], index

    on_a_line(empty_url, check)


def test_a_step_moves_no_entry_of_an_index(empty_url: str) -> None:
    async def check(line: Line, plans: Plans, connection: Any) -> None:
        del plans
        await line.start()
        hot, every = await updates(connection)
        for _ in range(20):
            await line.step()
        assert await updates(connection) == (hot + 20, every + 20)

    on_a_line(empty_url, check)
