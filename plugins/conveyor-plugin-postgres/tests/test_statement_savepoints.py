"""Statements of users within a run's transaction: one that fails undoes itself alone, at no round trip of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import asyncpg
import psycopg
import pytest

from conveyor import Conveyor, JobContext
from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from conveyor.contracts.store.transactions import TransactionConnection

pytestmark = pytest.mark.anyio

INSERT: Final = "insert into shelf values ($1)"


@pytest.fixture
def shelf_url(empty_url: str) -> Iterator[str]:
    """An empty store, and beside it a table that handlers write to."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists shelf; create table shelf (place integer check (place > 0))")
        yield empty_url
        connection.execute("drop table shelf")


async def write(url: str, block: Callable[[TransactionConnection, Any], Awaitable[None]]) -> list[int]:
    """Run a block in the transaction of a job, and return what stands on the shelf afterwards."""
    app = Conveyor(url)
    queue = app.queue("default")

    @queue.job()
    async def fill(context: JobContext) -> None:
        async with context.transaction() as connection:
            await block(connection, queue)

    async with app, app.worker("default"):
        with anyio.fail_after(30):
            await (await fill.add()).result()
    with psycopg.connect(url) as connection:
        return [place for (place,) in connection.execute("select place from shelf order by 1")]


async def refused(connection: TransactionConnection) -> None:
    with pytest.raises(StoreError):
        await connection.execute(INSERT, -1)


async def test_a_statement_that_fails_undoes_nothing_but_itself(shelf_url: str) -> None:
    async def block(connection: TransactionConnection, queue: Any) -> None:
        await refused(connection)
        await connection.execute(INSERT, 1)
        await refused(connection)
        await refused(connection)
        await queue.add("later", connection=connection, delay="1 hour")
        await refused(connection)
        await connection.execute(INSERT, 2)

    assert await write(shelf_url, block) == [1, 2]
    with psycopg.connect(shelf_url) as connection:
        assert connection.execute("select count(*) from conveyor.live").fetchall() == [(1,)]


async def test_a_job_that_is_added_first_is_kept_when_a_statement_fails(shelf_url: str) -> None:
    async def block(connection: TransactionConnection, queue: Any) -> None:
        await queue.add("later", connection=connection, delay="1 hour")
        await refused(connection)

    assert await write(shelf_url, block) == []
    with psycopg.connect(shelf_url) as connection:
        assert connection.execute("select count(*) from conveyor.live").fetchall() == [(1,)]


async def test_savepoints_of_the_users_own_are_theirs(shelf_url: str) -> None:
    async def block(connection: TransactionConnection, _: Any) -> None:
        await connection.execute(INSERT, 1)
        await connection.execute("savepoint mine")
        await connection.execute(INSERT, 2)
        await refused(connection)
        await connection.execute("rollback to savepoint mine")
        await connection.execute(INSERT, 3)
        await refused(connection)
        await connection.execute("release savepoint mine")
        await connection.execute(INSERT, 4)

    assert await write(shelf_url, block) == [1, 3, 4]


async def test_one_statement_takes_no_round_trip_for_its_savepoint(
    shelf_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []

    class Heard(asyncpg.Connection):  # type: ignore[misc] # asyncpg brings no types
        async def execute(self, query: str, *args: Any, **options: Any) -> str:
            asked.append((id(self), query))
            answer: str = await super().execute(query, *args, **options)
            return answer

    def round_trips() -> int:
        """Return how many there were on the connection of the transaction since its begin."""
        own = [(at, query) for at, query in asked if at == next(at for at, query in asked if query == INSERT)]
        begins = [number for number, (_, query) in enumerate(own) if query.startswith("begin")]
        return len(own) - begins[-1] - 1

    create_pool: Any = asyncpg.create_pool

    def create(dsn: str, **options: Any) -> Any:
        return create_pool(dsn, connection_class=Heard, **options)

    monkeypatch.setattr(asyncpg, "create_pool", create)

    async def block(connection: TransactionConnection, _: Any) -> None:
        await connection.execute(INSERT, 1)
        assert round_trips() == 1
        await connection.execute(INSERT, 2)
        assert round_trips() == 3

    assert await write(shelf_url, block) == [1, 2]
