"""SIGKILL at any SQL statement: what was acknowledged is there, and the file is whole."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from conveyor.contracts.store import Store
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.states import JobState
from conveyor.testing.conformance.workshop import QUEUE, Hand
from conveyor.testing.stores import open_store
from tests.house.tree import ROOT

SCRIPT: Final = "tests.sqlite.scripted_session"
NEVER: Final = 1_000_000
# Every part has one life in CI; with CONVEYOR_FULL=1 the parts share all statements.
PARTS: Final = 25
IS_FULL: Final = os.environ.get("CONVEYOR_FULL") == "1"

FAULTS: Final = {
    "a job is live and in history": "select count(*) from conveyor_live join conveyor_history using (seq)",
    "a job is neither live nor in history": """
        select count(*) from conveyor_jobs
        where seq not in (select seq from conveyor_live union select seq from conveyor_history)
    """,
    "there is a state without a job": """
        select count(*) from (select seq from conveyor_live union select seq from conveyor_history)
        where seq not in (select seq from conveyor_jobs)
    """,
    "there is history of no job": """
        select count(*) from conveyor_attempts where job_id not in (select id from conveyor_jobs)
    """,
    "a job is in a buffer and in a queue": "select count(*) from conveyor_buffered join conveyor_jobs using (id)",
    "a job is in a buffer and went on": """
        select count(*) from conveyor_buffered join conveyor_buffer_merges on job_id = id
    """,
    "a batch job waits for a job that nobody added": """
        select count(*) from conveyor_batches
        where status in ('created', 'confirmed', 'processing', 'pausing')
          and job_id not in (select id from conveyor_jobs)
    """,
    "a batch job stands where its history does not": """
        select count(*) from conveyor_batches
        where status <> (select after from conveyor_batch_changes where batch_id = id order by number desc limit 1)
    """,
    "there is history of no batch job": """
        select count(*) from conveyor_batch_changes where batch_id not in (select id from conveyor_batches)
    """,
    "there are bad rows of no step": """
        select count(*) from conveyor_batch_errors as errors left join conveyor_batches on id = errors.batch_id
        where coalesce(steps, 0) = 0
          and not exists (
            select 1 from conveyor_batch_parts as part
            where part.batch_id = errors.batch_id and part.steps > 0)
    """,
    "a batch job stands where its parts do not": """
        select count(*) from conveyor_batches
        join (
            select batch_id, count(*) as parts_kept, sum(done) as rows_done, sum(is_done) as parts_ended
            from conveyor_batch_parts group by batch_id
        ) on batch_id = id
        where (parts, done, parts_done) <> (parts_kept, rows_done, parts_ended)
    """,
    "a part waits for a job that nobody added": """
        select count(*) from conveyor_batch_parts where job_id not in (select id from conveyor_jobs)
    """,
    "there is a part of no batch job": """
        select count(*) from conveyor_batch_parts
        where batch_id not in (select id from conveyor_batches where parts > 0)
    """,
    "there are log lines of no job": """
        select count(*) from conveyor_logs where job_id not in (select id from conveyor_jobs)
    """,
}


def live_and_die(folder: Path, statements: list[int]) -> None:
    """Run the script once for each statement at which to die."""
    command = [sys.executable, "-m", SCRIPT, str(folder), *map(str, statements)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr


def told(folder: Path, statement: int) -> list[dict[str, Any]]:
    """Return what the store had acknowledged in this life."""
    path = folder / f"{statement}.log"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Live once to the end, then die at every statement, or at some; return the folder and the statements."""
    folder = tmp_path_factory.mktemp("lives")
    live_and_die(folder, [NEVER])
    last: int = told(folder, NEVER)[-1]["statements"]
    statements = list(range(1, last + 1)) if IS_FULL else [1 + part * last // PARTS for part in range(PARTS)]
    live_and_die(folder, statements)
    return folder, statements


def check_file(path: Path) -> None:
    """Assert that SQLite and the tables agree with themselves."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        for fault, query in FAULTS.items():
            assert connection.execute(query).fetchone() == (0,), fault
    connection.close()


async def check_promises(store: Store, facts: list[dict[str, Any]]) -> None:
    """Assert that everything is there that was acknowledged, unless it was being removed."""
    removed = {job_id for fact in facts for job_id in fact.get("removing", ())}
    for job_id in {job_id for fact in facts for job_id in fact.get("added", ())} - removed:
        assert await store.jobs.find_job(job_id) is not None, f"{job_id} is lost"
    for job_id, token, outcome in (run for fact in facts for run in fact.get("settled", ())):
        if job_id not in removed:
            runs = [(list(run.token), run.outcome) for run in await store.jobs.get_attempts(job_id)]
            assert (token, outcome) in runs, f"a run of {job_id} is lost"


async def check_sales(store: Store, path: Path, facts: list[dict[str, Any]]) -> None:
    """Assert that what a run wrote and added in its transaction is there with its end, and not without."""
    connection = sqlite3.connect(path)
    has_table = connection.execute("select count(*) from sqlite_master where name = 'books'").fetchone() == (1,)
    sold = [title for (title,) in connection.execute("select title from books")] if has_table else []
    connection.close()
    assert sold or not any("sold" in fact for fact in facts), "what was sold is lost"
    for job_id in sold:
        assert "completed" in [one.outcome for one in await store.jobs.get_attempts(job_id)], f"{job_id} did not end"
    is_removed = any("with-it" in fact.get("removing", ()) for fact in facts)
    assert is_removed or (await store.jobs.find_job("with-it") is not None) == bool(sold)


async def check_ticks(store: Store) -> None:
    """Assert that each schedule has as many jobs as it says that its ticks added."""
    assert store.schedules is not None
    listed = [job.id for state in JobState for job in await store.queues.list_jobs("ticking", state, end=1000)]
    for schedule in await store.schedules.list_schedules():
        jobs = [job_id for job_id in listed if job_id.startswith(f"{schedule.id}@2")]
        assert len(jobs) == schedule.state.fired_count, schedule.id


async def check_buffers(store: Store, facts: list[dict[str, Any]]) -> None:
    """Assert that each job that was put into a buffer is there, was added, or went into one that was."""
    assert store.buffers is not None
    removed = {job_id for fact in facts for job_id in fact.get("removing", ())}
    buffered = [job_id for fact in facts for job_id in fact.get("buffered", ()) if job_id not in removed]
    places = await store.buffers.find_places(buffered)
    for job_id in buffered:
        place = places.get(job_id)
        if place is None or place.kept is None:
            went = job_id if place is None or place.merged_into is None else place.merged_into
            assert await store.jobs.find_job(went) is not None, f"{job_id} is lost"
    # Of the two flushes that took this one, the first came back too late and with other arguments.
    flushed = await store.jobs.find_job("c0")
    assert flushed is None or flushed.payload == b"{}"


async def check_batches(store: Store, path: Path, facts: list[dict[str, Any]]) -> None:
    """Assert that batch jobs are as far as they were said to be, and that rows are there with their step alone."""
    assert store.batches is not None
    removed = {batch_id for fact in facts for batch_id in fact.get("removing", ())}
    for batch_id, revision in (fact["batch"] for fact in facts if "batch" in fact):
        batch = await store.batches.get_batch(batch_id)
        assert batch_id in removed or (batch is not None and batch.revision >= revision), f"{batch_id} went back"
    one = await store.batches.get_batch("one")
    connection = sqlite3.connect(path)
    tables = {name for (name,) in connection.execute("select name from sqlite_master where name like 'rows_of_%'")}
    connection.close()
    assert ("rows_of_one" in tables) == (one is not None and one.steps == 2)
    assert store.batch_parts is not None
    parts = {part.number: part for part in await store.batch_parts.get_parts("three")}
    assert ("rows_of_three" in tables) == (2 in parts and parts[2].steps == 2)
    for number, steps in (fact["part"] for fact in facts if "part" in fact):
        assert parts[number].steps >= steps, f"part {number} went back"


async def check_use(store: Store) -> None:
    """Assert that jobs can be added and fetched as if nothing had been."""
    await store.jobs.save_job(NewJob("new", QUEUE, "pack", b"{}", JobOptions(priority=-100)))
    hand = Hand(store)
    await hand.open()
    assert (await hand.fetch_one()).id == "new"
    assert await store.sessions.close(hand.id) == 1
    counts = await store.queues.get_job_counts(QUEUE)
    listed = [await store.queues.list_jobs(QUEUE, state, end=1000) for state in JobState]
    assert [len(jobs) for jobs in listed] == [counts[state] for state in JobState]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_a_kill_at_any_statement_loses_nothing(lives: tuple[Path, list[int]], part: int) -> None:
    folder, statements = lives
    for statement in statements[part::PARTS]:
        path = folder / f"{statement}.db"
        async with open_store(f"sqlite:///{path}") as store:
            status = await store.schema.get_status()
            assert (status.found, status.pending) == (status.wanted, ())
            await check_promises(store, told(folder, statement))
            await check_sales(store, path, told(folder, statement))
            await check_ticks(store)
            await check_buffers(store, told(folder, statement))
            await check_batches(store, path, told(folder, statement))
            await check_use(store)
        check_file(path)


def test_only_who_is_not_killed_reaches_the_end(lives: tuple[Path, list[int]]) -> None:
    folder, statements = lives
    reached = {
        statement: fact["statements"]
        for statement in (*statements, NEVER)
        for fact in told(folder, statement)
        if "statements" in fact
    }
    # What is written together differs a little from life to life, and so does how many statements it takes.
    assert all(last < statement for statement, last in reached.items())
    assert NEVER in reached
    assert len(reached) <= 1 + len(statements) // 20
