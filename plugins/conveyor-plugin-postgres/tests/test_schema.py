"""The schema: under another name, used by a role that owns nothing, and seen from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import conveyor_plugin_postgres
import psycopg
import pytest
from conveyor_plugin_postgres.statements import Statements, load_migrations
from facets import needed
from schema_file import schema_file
from server import BINARIES

from conveyor import Conveyor, JobContext
from conveyor.errors import SchemaError
from conveyor.model.events import NotificationKind
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Server

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 30
SCHEMA_FILE: Final = Path(conveyor_plugin_postgres.__file__).with_name("schema.sql")
# As docs/how-to/use-postgres.md gives them.
GRANTS: Final = """
grant usage on schema conveyor to shop;
grant select, insert, update, delete on all tables in schema conveyor to shop;
grant usage on all sequences in schema conveyor to shop;
"""


@pytest.fixture
def other_schema(server_url: str) -> Iterator[str]:
    url = f"{server_url}?schema=shop_jobs"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("drop schema if exists shop_jobs cascade")
    yield url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("drop schema shop_jobs cascade")


@pytest.fixture
def poor_url(empty_url: str) -> Iterator[str]:
    """The store, for a role that may do no more than it must."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create role shop login")
        connection.execute(GRANTS)
    yield empty_url.replace("postgres@", "shop@", 1)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop owned by shop; drop role shop")


async def run_one(url: str) -> None:
    """Add a job, run it, let its handler write in a transaction, and look for what is outdated."""
    app = Conveyor(url)
    queue = app.queue("orders")

    @queue.job()
    async def pack(context: JobContext) -> str:
        context.log("packing")
        async with context.transaction() as connection:
            row = await connection.fetchrow("select 'packed' as done")
            assert row is not None
            context.set_result(row["done"])
        return "packed"

    async with app, app.worker(retention_interval="50ms"):
        with anyio.fail_after(DEADLINE_SECONDS):
            for _ in range(3):
                assert await (await pack.add()).result() == "packed"
        await anyio.sleep(0.2)
        assert await queue.count("completed") == 3


async def test_a_schema_may_have_another_name(other_schema: str) -> None:
    await run_one(other_schema)
    base = other_schema.partition("?")[0]
    with psycopg.connect(base) as connection:
        assert connection.execute("select count(*) from shop_jobs.history").fetchone() == (3,)


async def test_stores_in_two_schemas_do_not_hear_each_other(other_schema: str, empty_url: str) -> None:
    job = NewJob("a", "orders", "pack", b"{}", JobOptions())
    async with (
        open_store(other_schema) as store,
        open_store(empty_url) as elsewhere,
        open_store(other_schema) as same,
        needed(store.notifier).subscribe("orders") as hints,
    ):
        with psycopg.connect(empty_url) as connection:
            await elsewhere.jobs.save_jobs_in(connection, [job])
        with psycopg.connect(empty_url) as connection:
            await same.jobs.save_jobs_in(connection, [job])
        with anyio.fail_after(DEADLINE_SECONDS):
            assert (await anext(aiter(hints))).kind is NotificationKind.ADDED
        with anyio.move_on_after(0.2) as scope:
            await anext(aiter(hints))
        assert scope.cancelled_caught, "the hint of the other schema came, too"


async def test_a_role_that_owns_nothing_can_do_everything_but_migrate(poor_url: str) -> None:
    await run_one(f"{poor_url}?auto_migrate=false")
    # Where nothing is to be migrated, nothing is asked for.
    await run_one_more(poor_url)


async def run_one_more(url: str) -> None:
    async with open_store(url) as store:
        assert (await store.schema.get_status()).pending == ()


async def test_many_may_migrate_at_once(other_schema: str) -> None:
    applied: list[int] = []

    async def migrate() -> None:
        async with open_store(other_schema) as store:
            applied.append((await store.schema.get_status()).found)

    for _ in range(3):
        with psycopg.connect(other_schema.partition("?")[0], autocommit=True) as connection:
            connection.execute("drop schema if exists shop_jobs cascade")
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(migrate)
    assert applied == [len(load_migrations())] * 18


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_without_auto_migrate_an_empty_database_is_refused(other_schema: str) -> None:
    with pytest.raises(SchemaError):
        async with open_store(f"{other_schema}&auto_migrate=false"):
            pass
    async with open_store(other_schema):
        pass


def test_no_statement_names_the_default_schema_once_there_is_another() -> None:
    statements = Statements("shop_jobs")
    for migration in load_migrations():
        code = "\n".join(line.partition("--")[0] for line in statements.of_schema(migration.up).splitlines())
        assert "conveyor" not in code


def conveyor(*arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "conveyor", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_commands_about_the_store_work(empty_url: str) -> None:
    assert json.loads(conveyor("store", "check", "--store", empty_url, "-o", "json"))["is_schema_current"]
    assert json.loads(conveyor("store", "migrate", "--store", empty_url, "-o", "json")) == []
    assert json.loads(conveyor("store", "stats", "--store", empty_url, "-o", "json"))["jobs"] == 0


def printed_sql(*options: str) -> str:
    return conveyor("store", "sql", "--store", "postgresql://nobody@nowhere.invalid/nothing", *options)


def test_the_migrations_are_printed_without_a_connection_and_make_the_schema(empty_url: str) -> None:
    printed = printed_sql()
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop database if exists printed with (force)")
        connection.execute("create database printed")
    base = empty_url.rpartition("/")[0]
    with psycopg.connect(f"{base}/printed", autocommit=True) as connection:
        connection.execute(printed.encode())
        (made,) = connection.execute(OBJECTS).fetchall()
    with psycopg.connect(empty_url, autocommit=True) as connection:
        assert connection.execute(OBJECTS).fetchall() == [made]
        connection.execute("drop database printed with (force)")


async def test_the_migrations_are_printed_for_the_schema_of_the_url(other_schema: str) -> None:
    url, _, name = other_schema.partition("?schema=")
    printed = conveyor("store", "sql", "--store", other_schema)
    assert "conveyor." not in printed
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(printed.encode())
    async with open_store(f"{other_schema}&auto_migrate=false") as store:
        status = await store.schema.get_status()
    assert (status.found, status.pending) == (status.wanted, ())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(conveyor("store", "sql", "--down", "--store", other_schema).encode())
        assert connection.execute(TABLES, (name,)).fetchall() == [("migrations",)]


TABLES: Final = "select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p')"

OBJECTS: Final = """
select array_agg(what order by what) from (
  select format('%s.%s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod)) as what
  from pg_attribute join pg_class on pg_class.oid = attrelid
  where relnamespace = 'conveyor'::regnamespace and attnum > 0 and relname not in ('migrations', 'migrations_pkey')
    and not relispartition
  union all
  select pg_get_functiondef(oid) from pg_proc where pronamespace = 'conveyor'::regnamespace
) as things
"""


FORBIDDING: Final = """
select proname, proconfig
from pg_proc
where pronamespace = 'conveyor'::regnamespace and array_to_string(proconfig, ' ') ~ 'enable_[a-z]+=off'
"""


@pytest.fixture
def unmade(mortal: Server) -> Server:
    """A server without the schema."""
    with psycopg.connect(mortal.url, autocommit=True) as connection:
        connection.execute("drop schema if exists conveyor cascade")
    return mortal


@pytest.mark.skipif(BINARIES in os.environ, reason="each version's pg_dump has words of its own")
async def test_schema_sql_is_what_the_migrations_make(unmade: Server) -> None:
    async with open_store(unmade.url):
        pass
    remedy = "run, in the plugin's folder: python tests/schema_file.py > conveyor_plugin_postgres/schema.sql"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_file(unmade), remedy


async def test_no_function_that_forbids_a_way_to_look_is_compiled(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        forbidding = connection.execute(FORBIDDING).fetchall()
    assert forbidding
    # Servers before 18 would compile them for each call; see the head of the migration.
    assert [name for name, settings in forbidding if "jit=off" not in settings] == []


async def test_a_schema_that_schema_sql_made_needs_no_migration(unmade: Server) -> None:
    with psycopg.connect(unmade.url, autocommit=True) as connection:
        connection.execute(SCHEMA_FILE.read_bytes())
    await run_one(f"{unmade.url}?auto_migrate=false")


async def test_a_schema_that_printed_migrations_made_needs_no_migration(unmade: Server) -> None:
    with psycopg.connect(unmade.url, autocommit=True) as connection:
        connection.execute(printed_sql().encode())
    await run_one(f"{unmade.url}?auto_migrate=false")
    async with open_store(unmade.url) as store:
        assert await store.schema.migrate() == ()


async def test_migrations_that_were_taken_back_by_hand_are_applied_again(unmade: Server) -> None:
    with psycopg.connect(unmade.url, autocommit=True) as connection:
        connection.execute(printed_sql().encode())
        connection.execute(printed_sql("--down").encode())
    async with open_store(unmade.url) as store:
        assert (await store.schema.get_status()).pending == ()


@pytest.mark.parametrize("has_table", [False, True])
async def test_tables_that_nobody_noted_a_migration_for_are_refused(unmade: Server, *, has_table: bool) -> None:
    step = load_migrations()[0]
    with psycopg.connect(unmade.url, autocommit=True) as connection:
        connection.execute((step.prepare if has_table else "create schema conveyor").encode())
        connection.execute(step.up.encode())
    for option in ("true", "false"):
        with pytest.raises(SchemaError, match="no note of the migrations") as refused:
            async with open_store(f"{unmade.url}?auto_migrate={option}"):
                pass
        assert refused.value.is_unrecorded
