"""Files that cannot be used: each says what is wrong with it, and what to do."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor.contracts.capabilities import Durability
from conveyor.errors import StoreError, StoreUnavailableError
from conveyor.testing.stores import open_store
from tests.sqlite.jobs import new_job

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def shopping_list(file: Path) -> Path:
    """A file that is something else than a database."""
    file.write_text("a shopping list, long enough to be read as a header by whoever reads headers\n" * 20)
    return file


async def test_a_file_that_is_no_database_is_named(shopping_list: Path) -> None:
    with pytest.raises(StoreError, match=r"jobs\.db.*not a database.*name another one") as caught:
        async with open_store(f"sqlite:///{shopping_list}"):
            pass
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*directory"):
        async with open_store(f"sqlite:///{tmp_path}/nowhere/jobs.db"):
            pass


async def test_a_read_only_file_says_so_and_may_be_mended_while_one_waits(file: Path) -> None:
    sqlite3.connect(file).execute("create table thing (id)").connection.close()
    # Opened as the system would have it: the tests may run as root, whom no permission stops.
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("insert into thing values (1)")
    connection.close()
    error = store_error(caught.value, file)
    assert isinstance(error, StoreUnavailableError)
    assert "read-only" in str(error)
    assert error.__cause__ is caught.value


@pytest.mark.parametrize(
    ("synchronous", "survives"),
    [("full", Durability.POWER_LOSS), ("normal", Durability.PROCESS_CRASH)],
)
async def test_the_guarantees_follow_the_option(file: Path, synchronous: str, survives: Durability) -> None:
    async with open_store(f"sqlite:///{file}?synchronous={synchronous}") as store:
        assert (store.guarantees.add, store.guarantees.settle) == (survives, survives)


async def test_a_log_that_grew_is_moved_into_the_file(file: Path) -> None:
    async with open_store(f"sqlite:///{file}?synchronous=normal") as store:
        before = await anyio.Path(file).stat()
        for chunk in range(10):
            await store.jobs.save_jobs([new_job(f"{chunk}-{number}") for number in range(1000)])
        after = await anyio.Path(file).stat()
        assert after.st_size > before.st_size
        assert await anyio.Path(f"{file}-checkpoint.lock").exists()
