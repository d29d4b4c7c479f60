"""Rows of batch jobs over PostgreSQL: each is written once, in savepoints where some are bad."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio.to_thread
import psycopg
import pytest
from attrs import frozen

from conveyor import ErrorPolicy, RowBatchStrategy
from conveyor.model.batches.values import RowOutcome
from conveyor.testing.batches import BatchTrial, prove_resume, run_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from conveyor import RowContext

pytestmark = pytest.mark.anyio

ROWS: Final = 60
BAD: Final = frozenset({7, 8, 59})
WRITTEN: Final = [value for value in range(1, ROWS + 1) if value not in BAD]


@frozen
class Number:
    value: int


@frozen
class Params:
    rows: int = ROWS


class Numbers(RowBatchStrategy[Number, Params]):
    """Writes into a table that would keep a number twice, and refuses some."""

    identifier = "numbers"
    batch_type = "numbers"
    row = Number
    params = Params
    chunk_size: ClassVar[int] = 20
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()
    rollback_safe: ClassVar[bool] = True

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
        for value in range((cursor or 0) + 1, context.params.rows + 1):
            yield Number(-value if value in BAD else value), value

    async def process(self, rows: Sequence[Number], context: RowContext[Params], /) -> None:
        await context.connection.executemany("insert into numbers (value) values ($1)", [(row.value,) for row in rows])


class InParts(Numbers):
    chunk_size: ClassVar[int] = 5
    parts: ClassVar[int] = 4


def make_table(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop table if exists numbers")
        connection.execute("create table numbers (id serial, value integer check (value > 0))")


def numbers(url: str) -> list[int]:
    with psycopg.connect(url, autocommit=True) as connection:
        return [value for (value,) in connection.execute("select value from numbers order by id")]


async def test_bad_rows_are_found_and_all_others_are_written_once(empty_url: str) -> None:
    make_table(empty_url)
    end = await run_batch(Numbers, {}, url=empty_url)
    assert numbers(empty_url) == WRITTEN
    assert [error.row_number for error in end.errors] == sorted(BAD)


@asynccontextmanager
async def begin(url: str, empty: Callable[[], None]) -> AsyncIterator[BatchTrial]:
    # It runs a loop of its own.
    await anyio.to_thread.run_sync(empty)
    make_table(url)

    async def read() -> list[int]:
        return numbers(url)

    # Its locks end by the server's clock, which no test can put forward.
    yield BatchTrial(Numbers, {}, read, url=url, worker={"lock_duration": "2 seconds"})


async def test_rows_are_written_once_wherever_the_program_is_killed(empty_url: str, cleaner: Any) -> None:
    # Four, or fewer where a slow moment made chunks smaller or larger: how many steps there are is a matter of time.
    assert 2 <= await prove_resume(lambda: begin(empty_url, cleaner.empty), at_most=2) <= 4


async def test_a_row_that_a_constraint_refuses_names_its_column(empty_url: str) -> None:
    class Marks(Numbers):
        async def process(self, rows: Sequence[Number], context: RowContext[Params], /) -> None:
            values = [(max(row.value, 1), "there" if row.value == 3 else "here") for row in rows]
            await context.connection.executemany('insert into marks (mark, "the shop") values ($1, $2)', values)

    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists marks, shops")
        connection.execute("create table shops (name text primary key)")
        connection.execute("insert into shops values ('here')")
        connection.execute(
            'create table marks (mark integer unique check (mark <> 5), "the shop" text not null references shops)'
        )
    end = await run_batch(Marks, {"rows": 9}, url=empty_url)
    assert [(error.row_number, error.code, error.column) for error in end.errors] == [
        (3, "unknown_reference", "the shop"),
        (5, "refused", None),
        (7, "not_unique", "mark"),
        (8, "not_unique", "mark"),
    ]


async def test_a_dry_run_leaves_the_table_as_it_was(empty_url: str) -> None:
    make_table(empty_url)
    end = await run_batch(Numbers, {}, url=empty_url, dry_run=True)
    assert numbers(empty_url) == []
    assert end.batch_job.counts[RowOutcome.FAILED] == len(end.errors) == len(BAD)


@pytest.mark.parametrize("loses_step", [False, True])
async def test_rows_of_all_parts_are_written_once_though_the_program_is_killed(
    empty_url: str, loses_step: bool
) -> None:
    make_table(empty_url)
    url = f"{empty_url}?clock=app"
    end = await run_batch(InParts, {}, url=url, crash_after=3, crashes=2, loses_step=loses_step)
    assert sorted(numbers(empty_url)) == WRITTEN
    assert [error.row_number for error in end.errors] == sorted(BAD)
    assert (end.runs, end.batch_job.parts, end.batch_job.parts_done, end.batch_job.done) == (3, 4, 4, ROWS)
