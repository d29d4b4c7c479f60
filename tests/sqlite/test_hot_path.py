"""What a job costs at saturation, counted in statements and commits, which no noise on the machine changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor
from conveyor._builtin.sqlite.store import SQLiteStore
from conveyor._cli.opening import services_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

JOBS = 2000


async def test_a_busy_worker_makes_few_statements_and_commits_for_many_jobs(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    queue = app.queue("q")
    left = JOBS
    all_ran = anyio.Event()
    counted = Counter[str]()

    @queue.job()
    async def nothing() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_ran.set()

    async with app:
        await nothing.add_many([nothing.new() for _ in range(JOBS)])
        await _count_statements(app, counted)
        async with app.worker("q", concurrency=100):
            await all_ran.wait()
    # All statements are shared by the jobs of a round trip, also those that settle them.
    assert counted.total() < JOBS / 4
    assert counted["commit"] < JOBS / 20


async def test_adding_in_bulk_makes_two_statements_per_thousand_jobs_and_one_commit(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    counted = Counter[str]()
    async with app:
        queue = app.queue("q")
        await _count_statements(app, counted)
        await queue.add_many([queue.new("any") for _ in range(JOBS)])
    # Besides: begin, the queue, the highest number so far, commit, and looks at what other processes did meanwhile.
    assert counted.total() < JOBS / 50
    assert counted["commit"] == 1


async def _count_statements(app: Conveyor, counted: Counter[str]) -> None:
    """Count what the writer does from now on by the first words of its statements."""
    store = services_of(app).store
    assert isinstance(store, SQLiteStore)

    def trace(statement: str) -> None:
        counted[statement.partition("(")[0].strip().lower()] += 1

    await store._writer.run(lambda transaction: transaction.connection.set_trace_callback(trace))
    counted.clear()
