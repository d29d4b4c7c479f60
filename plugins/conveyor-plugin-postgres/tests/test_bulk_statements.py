"""One statement for many rows: few round trips, the true number of rows, and nothing where one of them fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import asyncpg
import psycopg
import pytest
from conveyor_plugin_postgres.bulk_statements import AT_ONCE, execute_many

from conveyor import Conveyor, JobContext
from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

MANY: Final = 2 * AT_ONCE + 500
# The driver is on asyncio's side of the bridge.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
INSERT: Final = "insert into shelf values ($1)"


class Counted:
    """A connection that counts what is asked of it: each is a round trip."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.round_trips = 0

    def __getattr__(self, name: str) -> Any:
        self.round_trips += 1
        return getattr(self._connection, name)


@pytest.fixture
async def connection(server_url: str) -> AsyncIterator[Any]:
    """A connection in a transaction and a savepoint, with a table; all of it is rolled back."""
    connection: Any = await asyncpg.connect(server_url)
    await connection.execute("begin; create table shelf (place integer); create table log (place integer)")
    await connection.execute("create view books as select * from shelf")
    await connection.execute("savepoint one")
    yield connection
    await connection.close()


async def run(connection: Any, sql: str, values: range) -> int:
    """Run a statement with each of the numbers."""
    return await execute_many(connection, sql, [(value,) for value in values], savepoint="one")


@on_asyncio
async def test_many_rows_take_few_round_trips(connection: Any) -> None:
    counted = Counted(connection)
    assert await run(counted, INSERT, range(MANY)) == MANY
    assert counted.round_trips == 3
    assert await connection.fetchval("select count(*) from shelf") == MANY


@on_asyncio
@pytest.mark.parametrize(
    ("sql", "changed"),
    [
        (INSERT, 10),
        (f"{INSERT} ; ", 10),
        (f"{INSERT} -- to the end", 10),
        (f"{INSERT}; -- to the end", 10),
        (f"{INSERT} returning place", 10),
        ("with given as (select $1::integer as place) insert into shelf select place from given", 10),
        ("insert into shelf select $1 from generate_series(1, 3)", 30),
        ("update shelf set place = 0 where place <= $1", 0),
        ("insert into books values ($1)", 10),
        ("select $1::integer", -1),
    ],
)
async def test_the_rows_are_counted_however_it_is_written(connection: Any, sql: str, changed: int) -> None:
    assert await run(connection, sql, range(10)) == changed
    added = max(changed, 0)
    assert await connection.fetchval("select count(*) from shelf") == added


@on_asyncio
async def test_a_table_whose_rules_allow_no_returning_is_written_once(connection: Any) -> None:
    await connection.execute("create rule noted as on insert to shelf do instead insert into log values (new.place)")
    await connection.execute("savepoint one")
    await run(connection, INSERT, range(10))
    assert [place for (place,) in await connection.fetch("select place from log order by 1")] == list(range(10))


@on_asyncio
@pytest.mark.parametrize("bad", ["many", 2**40])
async def test_a_row_that_is_refused_is_raised_and_the_savepoint_undoes_all(connection: Any, bad: object) -> None:
    rows = [(place,) for place in range(MANY)] + [(bad,)]
    with pytest.raises((asyncpg.DataError, asyncpg.PostgresError)):
        await execute_many(connection, INSERT, rows, savepoint="one")
    await connection.execute("rollback to savepoint one")
    assert await connection.fetchval("select count(*) from shelf") == 0


@pytest.fixture
def shelf_url(empty_url: str) -> Iterator[str]:
    """An empty store, and beside it a table that handlers write to."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists shelf; create table shelf (place integer)")
        yield empty_url
        connection.execute("drop table shelf")


async def test_a_handler_goes_on_after_rows_of_which_one_was_refused(shelf_url: str) -> None:
    app = Conveyor(shelf_url)
    is_done = anyio.Event()

    @app.queue("default").job()
    async def fill(context: JobContext) -> None:
        async with context.transaction() as connection:
            with pytest.raises(StoreError):
                await connection.executemany(INSERT, [(1,), (2,), ("many",)])
            assert await connection.executemany(INSERT, [(3,), (4,)]) == 2
        is_done.set()

    async with app, app.worker("default"):
        await fill.add()
        with anyio.fail_after(30):
            await is_done.wait()
    with psycopg.connect(shelf_url) as connection:
        assert connection.execute("select place from shelf order by 1").fetchall() == [(3,), (4,)]
