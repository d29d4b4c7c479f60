"""The catalogue of the examples at its full size: files go in with bad rows, and come out as they were."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from conveyor import BatchStatus, RowOutcome
from conveyor.codec.tables import TableWriter
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator
    from pathlib import Path
    from types import ModuleType

    from conveyor import BatchJob, Conveyor

pytestmark = pytest.mark.anyio

ROWS: Final = 100_000 if os.environ.get("CONVEYOR_FULL") == "1" else 5_000
BLOCK: Final = 500


@pytest.fixture
def catalogue() -> Iterator[ModuleType]:
    """The module of the example."""
    spec = importlib.util.spec_from_file_location("catalogue", ROOT / "examples/18_catalogue/catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["catalogue"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["catalogue"]


def bad_rows() -> dict[int, dict[str, Any]]:
    """Return what is wrong, by row: every 500th has no price, and one in 1000 has the name of another."""
    no_price = {number: {"price": "a lot"} for number in range(500, ROWS, 500)}
    taken = {number: {"name": f"Tea no. {number - 1}"} for number in range(996, ROWS, 1000)}
    return no_price | taken


async def blocks(columns: Collection[str], bad: dict[int, dict[str, Any]]) -> AsyncIterator[bytes]:
    """Yield a file of products, block by block."""
    writer = TableWriter(tuple(columns))
    yield writer.header()
    for first in range(1, ROWS + 1, BLOCK):
        numbers = range(first, min(first + BLOCK, ROWS + 1))
        yield writer.rows([product(number) | bad.get(number, {}) for number in numbers])


def product(number: int) -> dict[str, Any]:
    """Return a product; a spreadsheet would take some names for formulas, and some for two cells or lines."""
    names = {7: f"=SUM(A1:A{number})", 8: f'Tea, "no." {number}', 9: f"Tea\r\nno. {number};"}
    name = names.get(number % 10, f"Tea no. {number}")
    return {"sku": f"tea-{number:06}", "name": name, "price": f"{number / 4:.2f}", "stock": number % 13}


async def imported(app: Conveyor, columns: Collection[str], bad: dict[int, dict[str, Any]]) -> BatchJob:
    """Import a file, and return the batch job once it has ended."""
    file = await app.files.write("products.csv", blocks(columns, bad))
    batch = await app.batches.create("product-import", {"file": file.key})
    return await batch.wait_until_ended("5 minutes")


async def test_what_was_imported_is_exported_as_it_was(catalogue: ModuleType, tmp_path: Path) -> None:
    app: Conveyor = catalogue.make_app(f"{tmp_path}/shop.db")
    bad = bad_rows()
    async with app, app.worker():
        first = await imported(app, catalogue.COLUMNS, bad)
        assert (first.status, first.error) == (BatchStatus.COMPLETED_WITH_ERRORS, None)
        assert first.counts == {RowOutcome.CREATED: ROWS - len(bad), RowOutcome.FAILED: len(bad)}
        errors = [error async for error in first.errors()]
        assert [error.row_number for error in errors] == sorted(bad)
        assert {error.column for error in errors} == {"price", "name"}

        mended = await imported(app, catalogue.COLUMNS, {})
        assert mended.status is BatchStatus.COMPLETED
        assert mended.counts[RowOutcome.CREATED] == len(bad)
        assert mended.counts[RowOutcome.SKIPPED] == ROWS - len(bad)

        export = await (await app.batches.create("product-export", {})).wait_until_ended("5 minutes")
        assert (export.status, export.progress.done) == (BatchStatus.COMPLETED, ROWS)
        whole = b"".join([block async for block in blocks(catalogue.COLUMNS, {})])
        async with app.files.read((export.result or {})["file"]) as read:
            assert b"".join([block async for block in read]) == whole
