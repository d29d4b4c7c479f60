"""Staying up where the server is full, slow or away for minutes: workers go on by themselves, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import psycopg
import pytest
from server import Server, needs_binaries
from trials import CUT_ALL, DEADLINE_SECONDS, LOCK, QUEUE, do, go_through

from conveyor import Conveyor
from conveyor.errors import StoreUnavailableError
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

# Longer than any lock lasts, and so than any run is trusted.
LONG_SECONDS: Final = 1.5 * LOCK.total_seconds()


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """A server that takes few connections."""
    needs_binaries()
    server = Server(fsync="off", max_connections=16)
    try:
        server.make()
        yield server
    finally:
        server.remove()


def take_all_connections(url: str, taken: list[psycopg.Connection[Any]]) -> None:
    """Connect until the server takes no more, and the store has none left."""
    while True:
        try:
            taken.append(psycopg.connect(url, autocommit=True))
        except psycopg.OperationalError as exc:
            if "too many clients" not in str(exc):
                raise
            if not taken[0].execute(CUT_ALL).fetchall():
                return


async def test_a_worker_goes_on_though_the_server_had_no_connection_for_it(small: Server) -> None:
    was_refused = False

    async def crowd() -> None:
        nonlocal was_refused
        connections: list[psycopg.Connection[Any]] = []
        try:
            await anyio.to_thread.run_sync(take_all_connections, small.url, connections)
            # On a busy machine one may find out no more in time than that there was no answer.
            for _ in range(20):
                try:
                    async with open_store(f"{small.url}?connect_timeout=300ms"):
                        pass
                except StoreUnavailableError as exc:
                    was_refused = "the server is short of something" in str(exc)
                if was_refused:
                    break
            await anyio.sleep(LONG_SECONDS)
        finally:
            for connection in connections:
                connection.close()

    do(small.url, "drop schema if exists conveyor cascade")
    await go_through(small.url, crowd)
    assert was_refused


async def test_a_worker_goes_on_though_its_handlers_hold_its_whole_pool(empty_url: str) -> None:
    """One connection, and every second job wants it for a transaction."""

    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    await go_through(f"{empty_url}?pool_size=1&connect_timeout=100ms", nothing, holding_seconds=0.15, jobs=20)


async def test_a_worker_goes_on_though_its_statements_took_too_long(empty_url: str) -> None:
    async def hold() -> None:
        for _ in range(3):
            with psycopg.connect(empty_url) as connection:
                await anyio.to_thread.run_sync(lambda: connection.execute("lock table conveyor.live in exclusive mode"))
                # Several statements run into their limit one after another, and so do the attempts to try again.
                await anyio.sleep(LONG_SECONDS / 2)
            await anyio.sleep(0.1)

    await go_through(f"{empty_url}?timeout=200ms", hold)


class LateClock:
    """The time of this machine, and whatever was jumped over."""

    def __init__(self) -> None:
        self.jumped = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.jumped


async def test_a_worker_goes_on_though_the_server_was_away_for_minutes(mortal: Server) -> None:
    """The store's time jumps; what waits by the machine's own, waits for three locks."""
    clock = LateClock()
    url = f"{mortal.url}?clock=app"

    async def interrupt() -> None:
        await anyio.sleep(0.2)
        await anyio.to_thread.run_sync(mortal.stop)
        await anyio.sleep(LOCK.total_seconds())
        clock.jumped = timedelta(minutes=30)
        await anyio.sleep(2 * LOCK.total_seconds())
        await anyio.to_thread.run_sync(mortal.start)

    do(mortal.url, "drop schema if exists conveyor cascade")
    await go_through(url, interrupt, clock=clock)


async def test_what_became_due_while_the_server_was_away_runs_when_it_is_back(mortal: Server) -> None:
    clock = LateClock()
    do(mortal.url, "drop schema if exists conveyor cascade")
    app = Conveyor(f"{mortal.url}?clock=app", clock=clock)
    queue = app.queue(QUEUE)
    ran = anyio.Event()

    @queue.job()
    async def pack() -> None:
        ran.set()

    async with app, app.worker(QUEUE, lock_duration=LOCK):
        await queue.schedule("10 minutes", "pack")
        await anyio.to_thread.run_sync(mortal.stop)
        clock.jumped = timedelta(minutes=30)
        await anyio.sleep(LONG_SECONDS)
        assert not ran.is_set()
        await anyio.to_thread.run_sync(mortal.start)
        with anyio.fail_after(DEADLINE_SECONDS):
            await ran.wait()
