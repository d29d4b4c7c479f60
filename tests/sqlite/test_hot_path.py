"""What a job costs at saturation, counted in statements and commits, which no noise on the machine changes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, Deduplication, Flow
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.store import SQLiteStore
from conveyor._cli.opening import services_of

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from conveyor import Queue
    from conveyor._handles.handler import JobHandler

pytestmark = pytest.mark.anyio

JOBS = 2000
CALLERS = 100


def counting_down(queue: Queue) -> tuple[JobHandler[[], Coroutine[Any, Any, None], [], None], anyio.Event]:
    """Return a handler without work, and what is set once it ran as often as there are jobs."""
    left = JOBS
    all_ran = anyio.Event()

    @queue.job()
    async def nothing() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_ran.set()

    return nothing, all_ran


async def test_a_busy_worker_makes_few_statements_and_commits_for_many_jobs(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    queue = app.queue("q")
    nothing, all_ran = counting_down(queue)
    counted = Counter[str]()
    async with app:
        await nothing.add_many([nothing.new() for _ in range(JOBS)])
        await _count_statements(app, counted)
        async with app.worker("q", concurrency=100):
            await all_ran.wait()
    # All statements are shared by the jobs of a round trip, also those that settle them.
    assert counted.total() < JOBS / 4
    assert counted["commit"] < JOBS / 20


@pytest.mark.parametrize("groups", [0, 20, JOBS], ids=["limits", "groups", "a group for each"])
async def test_a_round_of_groups_is_read_and_written_once_for_each_fetch(file: Path, groups: int) -> None:
    app = Conveyor(f"sqlite:///{file}")
    queue = app.queue("q")
    nothing, all_ran = counting_down(queue)
    counted = Counter[str]()
    async with app:
        await queue.set_limits(max_global_concurrency=JOBS)
        handlers = [nothing.options(group=f"group {number}") for number in range(groups)] or [nothing]
        await nothing.add_many([handlers[number % len(handlers)].new() for number in range(JOBS)])
        await _count_statements(app, counted)
        async with app.worker("q", concurrency=100):
            await all_ran.wait()
    assert counted.total() < JOBS / 2


async def test_runs_are_counted_from_the_first_limit_of_their_queue_on(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    queue = app.queue("q")
    counted: list[int] = []

    @queue.job()
    async def look() -> None:
        for _ in range(2):
            with closing(sqlite3.connect(file)) as connection:
                counted.extend(connection.execute("select count(*) from conveyor_live where is_limited = 1").fetchone())
            await queue.set_limits(max_global_concurrency=JOBS)

    async with app, app.worker("q"):
        job = await look.options(group="acme").add()
        await job.wait_until_finished(timeout="10s")
    assert counted == [0, 1]


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


async def test_jobs_without_a_flow_cost_no_statement_about_flows(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    queue = app.queue("q")
    counted = Counter[str]()

    @queue.job()
    async def nothing() -> None: ...

    async with app, app.worker("q"):
        await _count_statements(app, counted)
        for job in [await nothing.options(remove_on_complete=True).add(), await nothing.add()]:
            await job.wait_until_finished(timeout="10s")
    assert counted.total() > 0
    # Once in a while, whatever runs, a worker looks whether a flow wants mending.
    passes = tuple(_purpose(sql(f"flows/repair_flows_{step}").lower()) for step in ("forsaken", "untold", "idle"))
    assert [statement for statement in counted if "flow" in statement and _purpose(statement) not in passes] == []


async def test_each_child_of_a_wide_flow_costs_the_same(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    queue = app.queue("q")
    counted = Counter[str]()

    @queue.job()
    async def nothing() -> None: ...

    async with app:
        parent = await app.flows.add(Flow(nothing.new(), [nothing.new() for _ in range(JOBS)]))
        await _count_statements(app, counted)
        async with app.worker("q", concurrency=100):
            await parent.wait_until_finished(timeout="60s")
    # To look whether its run ended it, and to tell its parent, which is counted down once for all of a round trip.
    assert counted.total() < JOBS * 2.5


class Passing:
    """A middleware that lets everything pass."""

    async def around_add(self, jobs: Any, call_next: Any) -> Any:
        return await call_next(jobs)

    async def around_run(self, job: Any, call_next: Any) -> Any:
        del job
        return await call_next()


async def test_many_callers_share_statements_inside_middleware_too(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}", middleware=[Passing()])
    counted = Counter[str]()
    async with app:
        await _count_statements(app, counted)
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLERS):
                tasks.start_soon(app.queue("q").add, "any")
        assert await app.queue("q").count("waiting") == CALLERS
    assert counted.total() < CALLERS / 2


async def test_jobs_with_new_keys_make_no_statement_each(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    counted = Counter[str]()
    async with app:
        queue = app.queue("q")
        new = [queue.new("any", deduplication=Deduplication(key=str(number))) for number in range(JOBS)]
        await _count_statements(app, counted)
        await queue.add_many(new)
        assert counted.total() < JOBS / 50
        assert counted["commit"] == 1
        # One by one, by many callers at once: they share a commit, too.
        counted.clear()
        async with anyio.create_task_group() as tasks:
            for number in range(CALLERS):
                key = Deduplication(key=f"single {number}")
                tasks.start_soon(partial(queue.add, "any", deduplication=key))
        assert counted["commit"] < CALLERS / 5


async def test_jobs_with_held_keys_make_no_statement_each(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    counted = Counter[str]()
    async with app:
        queue = app.queue("q")
        for _ in range(2):
            new = [queue.new("any", deduplication=Deduplication(key=str(number))) for number in range(JOBS)]
            await _count_statements(app, counted)
            await queue.add_many(new)
            assert counted.total() < JOBS / 50


async def test_settling_a_job_with_a_key_does_not_touch_the_keys(file: Path) -> None:
    app = Conveyor(f"sqlite:///{file}")
    made: list[str] = []

    @app.queue("q").job(deduplication=Deduplication(hash=True))
    async def nothing() -> None: ...

    async with app:
        job = await nothing.add()
        store = services_of(app).store
        assert isinstance(store, SQLiteStore)
        await store._writer.run(lambda transaction: transaction.connection.set_trace_callback(made.append))
        async with app.worker("q"):
            await job.result(timeout="10s")
    assert any("insert into conveyor_history" in statement for statement in made)
    assert not any("deduplic" in statement for statement in made)


async def _count_statements(app: Conveyor, counted: Counter[str]) -> None:
    """Count what the writer does from now on by the first words of its statements."""
    store = services_of(app).store
    assert isinstance(store, SQLiteStore)

    last = ""

    def trace(statement: str) -> None:
        nonlocal last
        # What a trigger does for each row is told as the statement once more.
        if statement != last:
            last = statement
            counted[statement.partition("(")[0].strip().lower()] += 1

    await store._writer.run(lambda transaction: transaction.connection.set_trace_callback(trace))
    counted.clear()


def _purpose(statement: str) -> str:
    return statement.partition("\n")[0]
