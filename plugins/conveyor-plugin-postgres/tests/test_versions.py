"""A part of the kit on a server of another version, where Debian has installed one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import psycopg
import pytest
from server import Server

from conveyor import Conveyor, JobContext
from conveyor.testing.conformance.fetching import FetchingConformance
from conveyor.testing.conformance.notifications import NotificationsConformance
from conveyor.testing.conformance.schema import SchemaConformance
from conveyor.testing.conformance.transactions import TransactionsConformance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_SECONDS: Final = 30
DEBIANS: Final = Path("/usr/lib/postgresql/15/bin")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not (DEBIANS / "initdb").exists(), reason="PostgreSQL 15 of Debian is not installed"),
]


@pytest.fixture(scope="module")
def older_server(make_cleaner: Callable[[str], Any]) -> Iterator[tuple[str, Any]]:
    """The URL of an older server, and what empties it."""
    server = Server(binaries=DEBIANS, fsync="off")
    try:
        server.make()
        cleaner = make_cleaner(server.url)
        yield server.url, cleaner
        cleaner.close()
    finally:
        server.remove()


@pytest.fixture
def older_url(older_server: tuple[str, Any]) -> str:
    """The URL of an empty store on it."""
    url, cleaner = older_server
    cleaner.empty()
    return url


class TestOnPostgres15(FetchingConformance, TransactionsConformance, NotificationsConformance, SchemaConformance):
    """The larger statements, and what the server itself has a part in."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The server does not know who asks."""
        return "asyncio"

    @pytest.fixture
    def store_url(self, older_url: str) -> str:
        """An empty schema, whose time is that of the test."""
        return f"{older_url}?clock=app"


async def test_a_worker_runs_jobs_with_postgresql_15(older_url: str) -> None:
    with psycopg.connect(older_url) as connection:
        assert connection.info.server_version // 10_000 == 15
    app = Conveyor(older_url)
    queue = app.queue("orders")

    @queue.job()
    async def pack(context: JobContext, number: int) -> int:
        async with context.transaction() as connection:
            row = await connection.fetchrow("select $1::int + 1 as next", number)
            assert row is not None
            context.set_result(row["next"])
        return number

    async with app, app.worker("orders"):
        handles = await pack.add_many([pack.new(number) for number in range(5)])
        with anyio.fail_after(DEADLINE_SECONDS):
            assert [await handle.result() for handle in handles] == [1, 2, 3, 4, 5]
