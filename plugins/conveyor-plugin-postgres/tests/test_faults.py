"""Staying up: what the store does while connections are cut, the server is away, or it is short of something."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import psycopg
import pytest
from conveyor_plugin_postgres.options import parse_url
from conveyor_plugin_postgres.statements import Statements
from conveyor_plugin_postgres.thread_renewal import PostgresThreadRenewal
from facets import needed
from trials import CUT_ALL, LOCK, QUEUE, do, eventually, go_through

from conveyor.errors import StoreError, StoreUnavailableError
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Want
from conveyor.model.states import Command
from conveyor.testing import open_store
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.workshop import ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from server import Server

    from conveyor.contracts.store import Store
    from conveyor.testing.conformance.workshop import Workshop

pytestmark = pytest.mark.anyio

IDLE_IN_TRANSACTION: Final = """
select count(*) from pg_stat_activity where application_name = 'conveyor' and state like 'idle in transaction%'
"""
# How often a step of a call is let happen before the cancellation comes.
STEPS: Final = range(12)


@pytest.fixture(params=["asyncio", "trio-loop", "trio-thread"])
def bridge(request: pytest.FixtureRequest) -> str:
    """Every way to the driver."""
    way: str = request.param
    return way


@pytest.fixture
def anyio_backend(bridge: str) -> str:
    return bridge.partition("-")[0]


@pytest.fixture
def url(empty_url: str, bridge: str) -> str:
    way = bridge.partition("-")[2]
    return f"{empty_url}?bridge={way}" if way else empty_url


async def test_a_worker_goes_on_though_its_connections_are_cut_all_the_time(url: str) -> None:
    async def cut() -> None:
        for _ in range(15):
            do(url, CUT_ALL)
            await anyio.sleep(0.07)

    await go_through(url, cut)


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_worker_goes_on_though_the_server_was_away_for_longer_than_its_locks(
    mortal: Server, bridge: str, how: str
) -> None:
    async def interrupt() -> None:
        await anyio.sleep(0.2)
        await anyio.to_thread.run_sync(mortal.crash if how == "crash" else mortal.stop)
        await anyio.sleep(1.5 * LOCK.total_seconds())
        await anyio.to_thread.run_sync(mortal.start_after_crash)

    do(mortal.url, "drop schema if exists conveyor cascade")
    way = bridge.partition("-")[2]
    await go_through(f"{mortal.url}?bridge={way}" if way else mortal.url, interrupt)


async def test_a_connection_that_was_cut_while_idle_costs_one_call_at_most(url: str) -> None:
    async with open_store(url) as store:
        for _ in range(10):
            await eventually(needed(store.inspection).list_queues)
            do(url, CUT_ALL)
            # At once, before its end of the connection has noticed: nothing but what is tried again.
            with anyio.fail_after(10):
                await eventually(needed(store.inspection).list_queues)


async def test_a_pool_that_is_used_up_refuses_in_time_and_recovers(url: str) -> None:
    sign = "&" if "?" in url else "?"
    async with (
        open_store(f"{url}{sign}pool_size=1&connect_timeout=2s") as store,
        open_store(url) as other,
    ):
        workshop = make_workshop(other)
        job = await workshop.fetched("a")
        transaction = await needed(store.transactions).begin(lock_of(job), timedelta(seconds=20))
        with anyio.fail_after(20), pytest.raises(StoreUnavailableError):
            await store.jobs.get_job(QUEUE, "a")
        await transaction.roll_back()
        assert await store.jobs.get_job(QUEUE, "a") == job


def make_workshop(store: Store) -> Workshop:
    from conveyor.testing.conformance.workshop import Workshop

    return Workshop(store, ManualClock())


async def test_a_statement_that_waits_for_somebody_is_stopped_in_time(url: str) -> None:
    sign = "&" if "?" in url else "?"
    async with open_store(f"{url}{sign}timeout=2s") as store:
        workshop = make_workshop(store)
        with psycopg.connect(url.partition("?")[0]) as other:
            other.execute("lock table conveyor.live in access exclusive mode")
            with anyio.fail_after(20), pytest.raises(StoreUnavailableError):
                await store.jobs.save_job(workshop.new("a"))
            other.rollback()
        await store.jobs.save_job(workshop.new("a"))
        assert await workshop.fetch_order() == ["a"]


async def test_a_server_without_connections_to_spare_refuses_and_hints_come_once_it_has(url: str) -> None:
    do(url, "create role frugal login superuser connection limit 1")
    mine = url.replace("postgres@", "frugal@", 1)
    try:
        do(url, "alter role frugal nosuperuser")
        do(url, "grant all on schema conveyor to frugal; grant all on all tables in schema conveyor to frugal")
        do(url, "grant all on all sequences in schema conveyor to frugal")
        async with open_store(mine) as store, open_store(url) as other:
            workshop = make_workshop(other)
            async with needed(store.notifier).subscribe(QUEUE) as hints:
                with anyio.fail_after(10):
                    assert (await anext(aiter(hints))).kind is NotificationKind.ANYTHING
                    do(url, "alter role frugal connection limit -1")
                    # It says so again once it listens: what came in between is lost.
                    assert (await anext(aiter(hints))).kind is NotificationKind.ANYTHING
                    await other.jobs.save_job(workshop.new("a"))
                    assert (await anext(aiter(hints))).kind is NotificationKind.ADDED
    finally:
        do(url, "drop owned by frugal; drop role frugal")


async def test_lost_notifications_are_owned_up_to_and_come_again(url: str) -> None:
    async with open_store(url) as store, open_store(url) as other:
        workshop = make_workshop(other)
        async with needed(store.notifier).subscribe(QUEUE) as hints:
            do(url, CUT_ALL)
            with anyio.fail_after(20):
                assert (await anext(aiter(hints))).kind is NotificationKind.ANYTHING
                await eventually(lambda: other.jobs.save_job(workshop.new("a")))
                assert (await anext(aiter(hints))).kind is NotificationKind.ADDED


BACKENDS: Final = "select pid from pg_stat_activity where application_name = 'conveyor'"


async def test_a_transaction_that_began_when_nobody_waited_for_it_any_more_costs_its_connection(
    mortal: Server, bridge: str
) -> None:
    do(mortal.url, "drop schema if exists conveyor cascade")
    way = bridge.partition("-")[2]
    async with open_store(f"{mortal.url}?bridge={way}" if way else mortal.url) as store:
        lock = lock_of(await make_workshop(store).fetched("a"))
        hanging = [pid for (pid,) in do(mortal.url, BACKENDS)]
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)

        async def go_on() -> None:
            await anyio.sleep(0.6)
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(go_on)
                with pytest.raises(StoreUnavailableError):
                    await needed(store.transactions).begin(lock, timedelta(milliseconds=300))
            transaction = await needed(store.transactions).begin(lock, timedelta(seconds=10))
            await transaction.commit(ending(lock, Command.COMPLETE))
        assert do(mortal.url, IDLE_IN_TRANSACTION) == [(0,)]


CALLS: Final = ("add", "add many", "read", "fetch", "settle", "extend", "release", "transaction", "statement", "listen")


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_is_cancelled_at_any_step_leaves_the_pool_usable(url: str, name: str) -> None:
    async with open_store(url) as store:
        workshop = make_workshop(store)
        for steps in STEPS:
            await cancel_after(steps, await call_named(name, workshop, f"{steps}"))
            with anyio.fail_after(10):
                async with anyio.create_task_group() as tasks:
                    for _ in range(8):  # more than there are connections
                        tasks.start_soon(store.jobs.find_job, "a")
            assert do(url, IDLE_IN_TRANSACTION) == [(0,)]
            do(url, "delete from conveyor.live")


async def call_named(name: str, workshop: Workshop, job_id: str) -> Callable[[], Awaitable[object]]:
    """Return a call to be cancelled; what it needs is there already."""
    store = workshop.store
    if name == "add":
        return partial(store.jobs.save_job, workshop.new(job_id))
    if name == "add many":
        return partial(store.jobs.save_jobs, [workshop.new(job_id), workshop.new(f"{job_id}-b")])
    if name == "read":
        return partial(store.jobs.get_attempts, job_id)
    if name == "listen":
        return partial(listen, store)
    if name == "fetch":
        await workshop.add(job_id)
        hand = await workshop.hand()
        return partial(store.jobs.fetch_jobs, [Want(QUEUE, 10)], hand.id, LOCK, fetch_number=1)
    job = await workshop.fetched(job_id)
    lock = lock_of(job)
    calls: Mapping[str, Callable[[], Awaitable[object]]] = {
        "settle": partial(store.jobs.settle_jobs, [ending(lock, Command.COMPLETE)]),
        "extend": partial(store.jobs.extend_locks, [lock], LOCK),
        "release": partial(store.jobs.release_locks, [lock]),
        "transaction": partial(transact, store, lock, "select 1"),
        "statement": partial(transact, store, lock, "select pg_sleep(5)"),
    }
    return calls[name]


async def listen(store: Store) -> None:
    async with needed(store.notifier).subscribe(QUEUE):
        await anyio.sleep_forever()


async def transact(store: Store, lock: Any, sql: str) -> None:
    transaction = await needed(store.transactions).begin(lock, timedelta(seconds=10))
    try:
        await transaction.connection.fetch(sql)
        await transaction.commit(ending(lock, Command.COMPLETE))
    finally:
        with anyio.CancelScope(shield=True):
            await transaction.roll_back()


async def cancel_after(steps: int, call: Callable[[], Awaitable[object]]) -> None:
    """Begin a call, let the loop turn so many times, each a little longer than the last, and cancel the call."""

    async def run() -> None:
        try:
            await call()
        except StoreError as exc:
            pytest.fail(f"cancelled, and: {exc!r}")

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            for step in range(steps):
                await anyio.sleep(0.0003 * step)
            tasks.cancel_scope.cancel()


LOOPS: Final = """
import asyncio, gc, sys, threading
import anyio
from conveyor import Conveyor

async def main():
    app = Conveyor(sys.argv[1])
    queue = app.queue("orders")
    done = anyio.Event()

    @queue.job()
    async def pack():
        done.set()

    async with app, app.worker():
        await pack.add()
        with anyio.fail_after(30):
            await done.wait()
        loops = [each for each in gc.get_objects() if isinstance(each, asyncio.AbstractEventLoop) and each.is_running()]
        names = sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith("Trio thread"))
        print(len(loops), *names)

anyio.run(main, backend="trio")
"""


@pytest.mark.parametrize(
    ("bridge", "expected"),
    [
        ("trio-loop", "1 MainThread conveyor watchdog"),
        ("trio-thread", "1 MainThread conveyor watchdog conveyor-postgres"),
    ],
)
def test_under_trio_the_only_loop_of_asyncio_is_the_bridges_own(url: str, expected: str) -> None:
    ran = subprocess.run([sys.executable, "-c", LOOPS, url], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout.strip(), ran.returncode) == (expected, 0), ran.stderr


def test_a_renewing_thread_leaves_no_socket_behind(empty_url: str) -> None:
    renewal = PostgresThreadRenewal(parse_url(empty_url), Statements(), ManualClock())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        assert renewal.renew("nobody", LOCK) is False
        renewal.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
