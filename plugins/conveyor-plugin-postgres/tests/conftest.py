"""One server for all tests; each begins with an empty schema."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.schema import apply_migrations
from conveyor_plugin_postgres.statements import Statements
from pooler import Pooler
from server import Server, needs_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names a database of one's own, such as postgresql://postgres@localhost/test; its schema `conveyor` is emptied.
VARIABLE = "CONVEYOR_TEST_POSTGRES"
TABLES = (
    "live",
    "history",
    "attempts",
    "logs",
    "flow_edges",
    "flow_parents",
    "removed",
    "events",
    "watchers",
    "event_marks",
    "events_forgotten",
    "sessions",
    "workers",
    "queues",
    "paused",
    "guards",
    "new_guards",
    "queue_groups",
    "rates",
    "starts",
    "schedules",
    "deduplication_keys",
    "deduplicated_adds",
    "buffered",
    "buffer_takes",
    "buffer_merges",
    "batches",
    "batch_parts",
    "batch_errors",
    "run_counts",
)
# Deleting a few rows takes a millisecond, where making empty files of all tables and indexes takes fifty.
DELETE = "; ".join(f"delete from conveyor.{table}" for table in TABLES)
TRUNCATE = f"truncate {', '.join(f'conveyor.{table}' for table in TABLES)}"
LARGE_BYTES = 16 * 2**20
# The state machine of the kit: thousands of commands, one after the other.
MACHINE_SECONDS = 600
SIZE = "select pg_total_relation_size('conveyor.live') + pg_total_relation_size('conveyor.history_other')"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the state machine of the kit the time that it takes beside others."""
    for item in items:
        if item.name.startswith("test_random_commands") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(MACHINE_SECONDS))


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a server."""
    if given := os.environ.get(VARIABLE):
        yield given
        return
    server = Server(fsync="off")
    try:
        server.make()
        yield server.url
    finally:
        server.remove()


class Cleaner:
    """Empties the schema with a connection that outlives the loops of the tests."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.SelectorEventLoop()
        self._connection: Any = self._run(asyncpg.connect(url, server_settings={"lock_timeout": "20s"}))

    def empty(self) -> None:
        """Leave the schema complete, and nothing in it."""
        if self._run(self._connection.fetchval("select to_regclass('conveyor.migrations')")) is None:
            self._run(self._connection.execute("drop schema if exists conveyor cascade"))
            self._run(apply_migrations(Part(self._connection, Statements(), None)))
            return
        is_large = self._run(self._connection.fetchval(SIZE)) > LARGE_BYTES
        self._run(self._connection.execute(TRUNCATE if is_large else DELETE))

    def close(self) -> None:
        """Close the connection."""
        self._run(self._connection.close())
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)


@pytest.fixture(scope="session")
def cleaner(server_url: str) -> Iterator[Cleaner]:
    """What empties the schema."""
    cleaner = Cleaner(server_url)
    yield cleaner
    cleaner.close()


@pytest.fixture
def empty_url(server_url: str, cleaner: Cleaner) -> str:
    """The URL of an empty store."""
    cleaner.empty()
    return server_url


@pytest.fixture(scope="session")
def pooler(server_url: str) -> Iterator[Pooler]:
    """A pooler in front of the server of all tests."""
    pooler = Pooler(server_url)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()


@pytest.fixture
def pooled_url(pooler: Pooler, empty_url: str) -> str:
    """An empty store, behind the pooler, that polls."""
    assert empty_url
    return f"{pooler.url}?pooler=transaction"


@pytest.fixture
def listening_url(pooler: Pooler, pooled_url: str) -> str:
    """The same, with a connection past the pooler to listen on."""
    return f"{pooled_url}&direct={pooler.direct}"


@pytest.fixture(scope="session")
def make_cleaner() -> type[Cleaner]:
    """What empties the schema of another server."""
    return Cleaner


@pytest.fixture(scope="session")
def mortal() -> Iterator[Server]:
    """A server to stop and to kill."""
    needs_binaries()
    server = Server()
    try:
        server.make()
        yield server
    finally:
        server.remove()
