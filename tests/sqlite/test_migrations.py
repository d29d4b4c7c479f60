"""The SQLite schema: up, down and up again, by one process at a time."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._builtin.sqlite.schema import split_statements
from conveyor._builtin.sqlite.statements import load_migrations, sql
from conveyor.errors import SchemaError, StoreError
from conveyor.testing.stores import open_store
from tests.sqlite.jobs import new_job

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    # SQLite's own table of numbers given out stays, once there was one that gives them out.
    ours = "name not in ('migrations', 'sqlite_sequence')"
    return connection.execute(f"select name, sql from sqlite_master where {ours} order by name").fetchall()


def change(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


def test_up_down_and_up_give_the_same_schema() -> None:
    connection = sqlite3.connect(":memory:")
    for migration in load_migrations():
        connection.executescript(migration.up)
    first = schema(connection)
    for migration in reversed(load_migrations()):
        connection.executescript(migration.down)
    assert schema(connection) == []
    for migration in load_migrations():
        connection.executescript(migration.up)
    assert schema(connection) == first
    connection.close()


@pytest.mark.parametrize("version", range(len(load_migrations())))
async def test_every_older_version_is_brought_up_to_date(file: Path, tmp_path: Path, version: int) -> None:
    async with open_store(f"sqlite:///{tmp_path}/new.db") as store:
        assert (await store.schema.get_status()).pending == ()
    older, newest = sqlite3.connect(file), sqlite3.connect(tmp_path / "new.db")
    older.executescript(sql("schema/migrate_table"))
    for migration in load_migrations()[:version]:
        older.executescript(migration.up)
        older.execute(sql("schema/migrate"), (migration.version, migration.name, migration.checksum, 0))
    older.commit()
    async with open_store(f"sqlite:///{file}") as store:
        status = await store.schema.get_status()
        assert (status.found, status.pending) == (status.wanted, ())
        await store.jobs.save_job(new_job("a"))
    assert schema(older) == schema(newest)
    older.close()
    newest.close()


def test_a_script_is_split_where_its_statements_end() -> None:
    assert list(split_statements("-- a; b\nselect ';';\n\nselect\n  2;\n")) == ["-- a; b\nselect ';';", "select\n  2;"]


async def test_two_openers_at_once_migrate_once(file: Path) -> None:
    async def open_and_close() -> None:
        async with open_store(f"sqlite:///{file}") as store:
            assert (await store.schema.get_status()).pending == ()

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(open_and_close)


@pytest.fixture
def empty_file(file: Path) -> Path:
    file.touch()
    return file


async def test_a_schema_that_is_missing_is_refused_where_it_may_not_be_made(empty_file: Path) -> None:
    with pytest.raises(SchemaError, match="conveyor store migrate"):
        async with open_store(f"sqlite:///{empty_file}?auto_migrate=false"):
            pass


async def test_looking_at_a_mistyped_path_leaves_no_file_behind(file: Path) -> None:
    with pytest.raises(StoreError, match="does not exist yet"):
        async with open_store(f"sqlite:///{file}?auto_migrate=false"):
            pass
    assert not await anyio.Path(file).exists()


async def test_a_schema_from_the_future_is_refused(file: Path) -> None:
    async with open_store(f"sqlite:///{file}"):
        pass
    change(file, "insert into conveyor_migrations values (99, 'later', '', 0)")
    for option in ("true", "false"):
        with pytest.raises(SchemaError, match="upgrade conveyor"):
            async with open_store(f"sqlite:///{file}?auto_migrate={option}"):
                pass


async def test_a_migration_that_was_edited_is_noticed(file: Path) -> None:
    async with open_store(f"sqlite:///{file}"):
        pass
    change(file, "update conveyor_migrations set checksum = 'edited'")
    with pytest.raises(StoreError, match="was changed after it had been applied"):
        async with open_store(f"sqlite:///{file}"):
            pass
