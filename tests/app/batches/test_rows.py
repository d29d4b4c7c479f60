"""Rows of batch jobs in a real app, over SQLite: each is written once, wherever the program is killed."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import frozen

from conveyor import Conveyor, ErrorPolicy, RowBatchStrategy
from conveyor.errors import BatchJobError
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import RowOutcome
from conveyor.testing.batches import BatchTrial, prove_resume, run_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from conveyor import RowContext

pytestmark = pytest.mark.anyio

ROWS = 120
BAD = frozenset({7, 8, 50, 119})


@frozen
class Number:
    value: int


@frozen
class Params:
    rows: int = ROWS


class Chunks(RowBatchStrategy[Number, Params]):
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
        await context.connection.executemany("INSERT INTO numbers VALUES (?)", [(row.value,) for row in rows])


class OneByOne(Chunks):
    process = RowBatchStrategy.process  # type: ignore[assignment]

    async def process_one(self, row: Number, context: RowContext[Params], /) -> RowOutcome:
        await context.connection.execute("INSERT INTO numbers VALUES (?)", row.value)
        return RowOutcome.CREATED


def make_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE numbers (value INTEGER CHECK (value > 0))")


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as database:
        return [value for (value,) in database.execute("SELECT value FROM numbers ORDER BY rowid")]


WRITTEN = [value for value in range(1, ROWS + 1) if value not in BAD]


@pytest.mark.parametrize("kind", [Chunks, OneByOne])
async def test_rows_are_written_once_wherever_the_program_is_killed(tmp_path: Path, kind: type[Chunks]) -> None:
    made = 0

    @asynccontextmanager
    async def begin() -> AsyncIterator[BatchTrial]:
        nonlocal made
        made += 1
        path = tmp_path / f"{made}.db"
        make_table(path)

        async def read() -> list[int]:
            return numbers(path)

        yield BatchTrial(kind, {}, read, url=f"sqlite:///{path}")
        assert numbers(path) == WRITTEN

    assert await prove_resume(begin, at_most=4) >= 6


async def test_a_dry_run_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "dry.db"
    make_table(path)
    end = await run_batch(Chunks, {}, url=f"sqlite:///{path}", dry_run=True)
    assert numbers(path) == []
    assert end.batch_job.status is BatchStatus.COMPLETED_WITH_ERRORS
    assert end.batch_job.counts[RowOutcome.FAILED] == len(end.errors) == len(BAD)
    assert end.result is not None
    assert end.result["dry_run"]["rows_were"] == "rolled_back"


async def test_a_batch_job_that_is_paused_in_the_middle_goes_on_with_the_rows_that_remain(tmp_path: Path) -> None:
    path = tmp_path / "paused.db"
    make_table(path)

    class Pausing(Chunks):
        async def throttle(self, context: RowContext[Params], /) -> None:
            run = context.run
            if run.batch_job.done and not any(change.command == "pause" for change in run.batch_job.history):
                await app.batches.pause(run.batch_job.id, by="ada")

    app = Conveyor(f"sqlite:///{path}", batch_strategies=[Pausing])
    async with app, app.worker():
        batch = await app.batches.create("numbers", {})
        async with app.batches.events(batch.id) as events:
            async for event in events:
                if event.batch.status is BatchStatus.PAUSED:
                    break
        await batch.refresh()
        assert 0 < batch.progress.done < ROWS
        await batch.resume()
        await batch.wait_until_ended("30 seconds")
    assert numbers(path) == WRITTEN


async def test_a_job_that_would_create_what_does_not_fit_is_refused_when_it_is_made(tmp_path: Path) -> None:
    class Prepared(Chunks):
        identifier = batch_type = "prepared"

        async def prepare_batch_job_for_processing(
            self, context: Mapping[str, Any], request: Mapping[str, Any] | None, /
        ) -> Mapping[str, Any]:
            return {"rows": int(context["how many"])}

    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db", batch_strategies=[Chunks, Prepared])
    for context, why in (({"rosw": 3}, "rosw: there is no such field; did you mean 'rows'"), ({"rows": "x"}, "rows: ")):
        with pytest.raises(BatchJobError, match=f"does not fit batch jobs of type 'numbers': {why}"):
            app.batches.new("numbers", context)
    assert app.batches.new("numbers", {"rows": 3}).name == "create"
    # What a strategy makes of it shows only when it is created.
    assert app.batches.new("prepared", {"how many": "3"}).name == "create"


async def test_failed_rows_alone_are_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "failed.db"
    make_table(path)

    class Mended(Chunks):
        async def process(self, rows: Sequence[Number], context: RowContext[Params], /) -> None:
            if context.run.batch_job.parent_id is None:
                await super().process(rows, context)
            else:
                await super().process([Number(abs(row.value)) for row in rows], context)

    app = Conveyor(f"sqlite:///{path}", batch_strategies=[Mended])
    async with app, app.worker():
        batch = await app.batches.create("numbers", {})
        await batch.wait_until_ended("30 seconds")
        again = await app.batches.retry(batch.id, failed_rows=True)
        await again.wait_until_ended("30 seconds")
        assert again.status is BatchStatus.COMPLETED
        assert (again.progress.done, again.progress.total) == (len(BAD), len(BAD))
    assert numbers(path) == WRITTEN + sorted(BAD)


async def test_a_row_that_a_constraint_refuses_names_its_column(tmp_path: Path) -> None:
    class Marks(Chunks):
        async def process(self, rows: Sequence[Number], context: RowContext[Params], /) -> None:
            values = [(max(row.value, 1), None if row.value == 3 else "here") for row in rows]
            await context.connection.executemany("INSERT INTO marks (mark, shop) VALUES (?, ?)", values)

    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE marks (mark INTEGER UNIQUE CHECK (mark <> 5), shop TEXT NOT NULL)")
    end = await run_batch(Marks, {"rows": 9}, url=f"sqlite:///{path}")
    assert [(error.row_number, error.code, error.column) for error in end.errors] == [
        (3, "missing_value", "shop"),
        (5, "refused", None),
        (7, "not_unique", "mark"),
        (8, "not_unique", "mark"),
    ]
    assert end.errors[2].message == "SQLite refused a statement: UNIQUE constraint failed: marks.mark"


async def test_a_preview_tells_how_long_it_will_take_as_earlier_ones_did(tmp_path: Path) -> None:
    path = tmp_path / "estimate.db"
    make_table(path)
    app = Conveyor(f"sqlite:///{path}", batch_strategies=[Chunks()])
    async with app, app.worker():

        async def estimate(*, dry_run: bool = False) -> Any:
            batch = await app.batches.create("numbers", {}, dry_run=dry_run)
            await batch.wait_until_ended("20s")
            assert batch.status is BatchStatus.COMPLETED_WITH_ERRORS
            assert batch.result is not None
            return batch.result["preview"]["estimate"]

        assert await estimate(dry_run=True) is None
        told = await estimate()
        assert (told["basis"], told["runs"]) == ("dry_runs", 1)
        assert told["seconds"] == pytest.approx(ROWS / told["per_second"])
        told = await estimate()
        assert (told["basis"], told["runs"]) == ("earlier_runs", 1)
