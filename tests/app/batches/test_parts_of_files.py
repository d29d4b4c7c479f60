"""Files of rows in parts: divided by bytes, and between rows, whatever is in them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, ClassVar

import pytest
from attrs import frozen

from conveyor import Conveyor, FileParams, RowBatchStrategy
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor.codec import decode_json
from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from conveyor import RowContext

pytestmark = pytest.mark.anyio


@frozen
class Product:
    sku: str
    about: str


class Import(RowBatchStrategy[Product, FileParams]):
    identifier = "import"
    batch_type = "products"
    row = Product
    params = FileParams
    chunk_size: ClassVar[int] = 5
    parts: ClassVar[int] = 3

    def __init__(self) -> None:
        self.rows: dict[int, Product] = {}

    async def process_one(self, row: Product, context: RowContext[FileParams], /) -> None:
        self.rows[context.number] = row


async def one_block(data: bytes) -> AsyncIterator[bytes]:
    yield data


def as_file(products: Iterable[Product], name: str) -> bytes:
    """Return products as a file of the kind that its name tells."""
    file = io.StringIO(newline="")
    if name.endswith("csv"):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["sku", "about"])
        rows.writerows((product.sku, product.about) for product in products)
    else:
        file.writelines(f"{json.dumps({'sku': one.sku, 'about': one.about})}\n" for one in products)
    return file.getvalue().encode()


@pytest.mark.parametrize("name", ["products.csv", "products.jsonl"])
async def test_a_file_is_divided_between_rows_whatever_they_hold(tmp_path: Path, name: str) -> None:
    # Lines and quotes within cells: who cut at any line end would cut rows.
    expected = {number: Product(f"p{number}", f'"{number}"\n;,\r\nö' * (1 + number % 3)) for number in range(1, 41)}
    strategy = Import()
    storage = LocalFileStorage(LocalFilesOptions(directory=str(tmp_path)))
    app = Conveyor("memory://", batch_strategies=[strategy], file_storage=storage)
    async with app, app.worker():
        stored = await app.files.write(name, one_block(as_file(expected.values(), name)))
        batch = await app.batches.create("products", {"file": stored.key})
        await batch.wait_until_ended("20s")
        assert (batch.error, batch.status, batch.data.parts) == (None, BatchStatus.COMPLETED, 3)
        spans = [decode_json(part.span) for part in await app.batches.parts(batch.id)]
    assert strategy.rows == expected
    assert [span["last"] for span in spans] == [13, 27, 40]
