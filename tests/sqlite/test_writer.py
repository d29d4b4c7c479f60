"""The writer thread: one commit for all that wait, and no failure that touches a neighbour."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.store import SQLiteStore
from conveyor.errors import JobNotFoundError, StoreError, StoreUnavailableError
from conveyor.model.queries import Added, AddReceipt, Want
from conveyor.model.states import JobState
from conveyor.testing.stores import open_store
from tests.sqlite.jobs import LOCK, SESSION, new_job, open_session

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor._builtin.sqlite.transaction import Transaction

pytestmark = pytest.mark.anyio


class CountingClock:
    """A clock that shows another time whenever it is asked, which is once for each transaction."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> datetime:
        self.asked += 1
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.asked)


async def test_concurrent_adds_share_a_commit(file: Path) -> None:
    clock = CountingClock()
    async with open_store(f"sqlite:///{file}", clock=clock) as store:
        asked_before = clock.asked
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(store.jobs.save_job, new_job(f"job-{number}"))
        assert clock.asked - asked_before < 10
        assert await store.queues.count_jobs("mail", JobState.WAITING) == 100


async def test_callers_that_come_one_after_the_other_share_commits_before_long(file: Path) -> None:
    clock = CountingClock()
    gate = threading.Event()
    turns = 100
    async with open_store(f"sqlite:///{file}", clock=clock) as store:
        assert isinstance(store, SQLiteStore)
        writer = store._writer

        async def add(name: str) -> None:
            for turn in range(turns):
                await store.jobs.save_job(new_job(f"{name}-{turn}"))

        async def add_after_waiting() -> None:
            await writer.run(hold, gate)
            await add("first")

        await store.jobs.save_job(new_job("alone"))
        async with anyio.create_task_group() as group:
            group.start_soon(add_after_waiting)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(add, "second")
            await anyio.wait_all_tasks_blocked()
            asked_before = clock.asked
            gate.set()
        assert clock.asked - asked_before < 2 * turns * 3 / 4


async def test_an_operation_without_company_waits_for_none(store: SQLiteStore) -> None:
    await store.jobs.save_job(new_job("alone"))
    has_run = threading.Event()
    store._writer.post(lambda _: has_run.set())
    assert has_run.wait(30), "it was not handed over while the event loop stood still"


def add_and_fail(transaction: Transaction) -> None:
    row = (transaction.take_seqs(1)[0], "half-added", "mail", "send", b"{}", None, transaction.now, None)
    transaction.connection.execute(sql("jobs/save_jobs"), row)
    raise JobNotFoundError("half-added")


async def test_an_operation_that_fails_half_way_leaves_no_trace_and_its_group_is_kept(store: SQLiteStore) -> None:
    failed: list[Exception] = []

    async def fail() -> None:
        try:
            await store._writer.run(add_and_fail)
        except JobNotFoundError as exc:
            failed.append(exc)

    async with anyio.create_task_group() as group:
        group.start_soon(store.jobs.save_job, new_job("before"))
        group.start_soon(fail)
        group.start_soon(store.jobs.save_job, new_job("after"))
    assert len(failed) == 1
    assert await store.jobs.find_job("half-added") is None
    assert (await store.jobs.find_jobs(["before", "after"])).keys() == {"before", "after"}


async def test_an_operation_that_fails_alone_leaves_no_trace(store: SQLiteStore) -> None:
    with pytest.raises(JobNotFoundError):
        await store._writer.run(add_and_fail)
    assert await store.jobs.find_job("half-added") is None


async def test_an_error_of_the_driver_comes_with_its_cause_and_spares_the_group(store: SQLiteStore) -> None:
    def misspell(transaction: Transaction) -> None:
        transaction.connection.execute("selekt 1")

    failed: list[StoreError] = []

    async def fail() -> None:
        try:
            await store._writer.run(misspell)
        except StoreError as exc:
            failed.append(exc)

    async with anyio.create_task_group() as group:
        group.start_soon(fail)
        group.start_soon(store.jobs.save_job, new_job("kept"))
    assert isinstance(failed[0].__cause__, sqlite3.OperationalError)
    assert "jobs.db" in str(failed[0])
    assert await store.jobs.find_job("kept") is not None


async def test_while_another_process_writes_the_store_is_unavailable_and_then_well_again(
    store: SQLiteStore, file: Path
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreUnavailableError, match="another process") as caught:
        await store.jobs.save_job(new_job("a"))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    other.execute("rollback")
    other.close()
    await store.jobs.save_job(new_job("a"))
    assert await store.jobs.find_job("a") is not None


async def test_a_full_disk_fails_the_group_and_the_thread_lives_on(store: SQLiteStore) -> None:
    def fill(transaction: Transaction) -> None:
        (pages,) = transaction.connection.execute("pragma page_count").fetchone()
        transaction.connection.execute(f"pragma max_page_count = {pages}")

    def make_room(transaction: Transaction) -> None:
        transaction.connection.execute("pragma max_page_count = 1000000")

    await store._writer.run(fill)
    with pytest.raises(StoreUnavailableError, match="full"):
        await store.jobs.save_job(new_job("large", payload=b"0" * 100_000))
    await store._writer.run(make_room)
    await store.jobs.save_job(new_job("large", payload=b"0" * 100_000))
    assert await store.jobs.find_job("large") is not None


def hold(transaction: Transaction, gate: threading.Event) -> None:
    """Keep the writer thread busy until the gate is opened."""
    assert gate.wait(30)


async def test_a_caller_that_is_cancelled_while_it_waits_is_told_what_came_of_it(store: SQLiteStore) -> None:
    gate = threading.Event()
    receipts: list[AddReceipt] = []

    async def add() -> None:
        receipts.extend(await store.jobs.save_jobs([new_job("a")]))

    async with anyio.create_task_group() as group:
        group.start_soon(store._writer.run, hold, gate)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(add)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        gate.set()
    assert [receipt.job_id for receipt in receipts] == ["a"]
    assert await store.jobs.find_job("a") is not None


async def test_a_single_add_that_is_cancelled_while_it_waits_is_added_whole_or_not_at_all(store: SQLiteStore) -> None:
    gate = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(store._writer.run, hold, gate)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(store.jobs.save_job, new_job("a"))
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        gate.set()
    # Adding it again is harmless, and waits for its turn behind the first.
    assert (await store.jobs.save_job(new_job("a"))).outcome is Added.ADDED
    assert await store.queues.count_jobs("mail", JobState.WAITING) == 1


async def test_a_cancelled_caller_adds_nothing_more(store: SQLiteStore) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.jobs.save_job(new_job("a"))
    assert await store.jobs.find_job("a") is None


async def test_what_is_queued_when_the_store_closes_is_finished(file: Path) -> None:
    gate = threading.Event()
    url = f"sqlite:///{file}"
    async with anyio.create_task_group() as group, open_store(url) as store:
        assert isinstance(store, SQLiteStore)
        group.start_soon(store._writer.run, hold, gate)
        await anyio.wait_all_tasks_blocked()
        for number in range(50):
            group.start_soon(store.jobs.save_job, new_job(f"job-{number}"))
        await anyio.wait_all_tasks_blocked()
        gate.set()
    async with open_store(url) as store:
        assert await store.queues.count_jobs("mail", JobState.WAITING) == 50


async def test_a_closed_store_says_so(file: Path) -> None:
    async with open_store(f"sqlite:///{file}") as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await store.jobs.save_job(new_job("a"))
    with pytest.raises(StoreError, match="closed"):
        await store.jobs.find_job("a")


async def test_fetched_jobs_come_in_order_though_returned_rows_have_none(store: SQLiteStore) -> None:
    await open_session(store)
    await store.jobs.save_jobs(
        [
            new_job("late", priority=5),
            new_job("soon"),
            new_job("first", priority=-1),
            new_job("newest", lifo=True),
        ]
    )
    jobs = await store.jobs.fetch_jobs([Want("mail", 10)], SESSION, LOCK, fetch_number=1)
    assert [job.id for job in jobs] == ["first", "newest", "soon", "late"]
    again = await store.jobs.fetch_jobs([Want("mail", 10)], SESSION, LOCK, fetch_number=1)
    assert again == jobs


async def test_only_what_must_last_waits_for_the_disk(store: SQLiteStore) -> None:
    def read(transaction: Transaction) -> int:
        (answer,) = transaction.connection.execute("pragma synchronous").fetchone()
        return int(answer)

    async def synchronous() -> list[int]:
        return [await store._writer.run(read), await store._writer.run_passing(read)]

    full, normal = 2, 1
    assert await synchronous() == [full, normal]
    assert await synchronous() == [full, normal]
