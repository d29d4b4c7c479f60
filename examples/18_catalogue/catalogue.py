"""A small catalogue in the store's own database; one batch strategy fills it from files, another writes it out."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from attrs import asdict, field, frozen, validators

from conveyor import AbstractBatchJobStrategy, Conveyor, ErrorPolicy, RowBatchStrategy, RowContext, RowOutcome
from conveyor.codec.tables import TableWriter, column
from conveyor.contracts.file_storage import FileStorage
from conveyor.contracts.row_batches import FileParams
from conveyor.contracts.strategy import Injector
from conveyor.model.batches.rows import RowPreview

TABLE = """
CREATE TABLE IF NOT EXISTS products (
    sku TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, price TEXT NOT NULL, stock INTEGER NOT NULL)
"""
WRITE = """
INSERT INTO products VALUES (?, ?, ?, ?) ON CONFLICT (sku)
DO UPDATE SET name = excluded.name, price = excluded.price, stock = excluded.stock
"""


@frozen
class Product:
    """A row of a file, and of the table."""

    sku: str = field(metadata=column(help="what the shop calls it", example="tea-01", aliases=["article"]))
    name: str = field(metadata=column(help="what customers see; no two have the same", example="Green tea"))
    price: Decimal = field(metadata=column(example="2.50"), validator=validators.ge(Decimal(0)))
    stock: int = field(default=0, metadata=column(help="how many there are", example="12"))


COLUMNS = ("sku", "name", "price", "stock")


class Catalogue:
    """Reads the table; rows are written by the batch jobs' own transactions."""

    def __init__(self, path: str) -> None:
        """Open the database, and make the table where it is not there."""
        self.connection = sqlite3.connect(path)
        self.connection.execute(TABLE)

    def find(self, sku: str) -> Product | None:
        """Return a product; None: there is none."""
        row = self.connection.execute("SELECT * FROM products WHERE sku = ?", (sku,)).fetchone()
        return None if row is None else _product(row)

    def page(self, after: str, limit: int) -> list[Product]:
        """Return the products after a SKU, in order."""
        query = "SELECT * FROM products WHERE sku > ? ORDER BY sku LIMIT ?"
        return [_product(row) for row in self.connection.execute(query, (after, limit))]

    def count(self) -> int:
        """Return how many products there are."""
        return int(self.connection.execute("SELECT count(*) FROM products").fetchone()[0])


class ProductImport(RowBatchStrategy[Product, FileParams]):
    """Reads a CSV or JSONL file. Rows and how far it is are committed together: each is written exactly once."""

    identifier = "catalogue.import"
    batch_type = "product-import"
    row = Product
    params = FileParams
    identifying = ("file",)
    errors = ErrorPolicy.skip(share=0.1)
    rollback_safe = True

    async def check(self, row: Product, context: RowContext[FileParams], /) -> RowPreview:
        """Say what would become of a row; what its class refuses does not come here."""
        known = context.run.state.find(row.sku)
        if known is None:
            return RowPreview(RowOutcome.CREATED)
        changes = {
            name: (str(getattr(known, name)), str(getattr(row, name)))
            for name in COLUMNS
            if getattr(known, name) != getattr(row, name)
        }
        return RowPreview(RowOutcome.UPDATED, changes) if changes else RowPreview(RowOutcome.SKIPPED)

    async def process(self, rows: Sequence[Product], context: RowContext[FileParams], /) -> list[RowOutcome]:
        """Write a chunk of rows."""
        known = {row.sku: context.run.state.find(row.sku) for row in rows}
        written = [row for row in rows if known[row.sku] != row]
        # Where the database refuses one, its chunk is rolled back, and halved until that row is alone.
        await context.connection.executemany(WRITE, [(row.sku, row.name, str(row.price), row.stock) for row in written])
        return [_outcome(known[row.sku], row) for row in rows]


class ProductExport(AbstractBatchJobStrategy):
    """Writes all products into a file, in the order of their SKUs; a run goes on where the one before it ended."""

    identifier = "catalogue.export"
    batch_type = "product-export"
    chunk = 500

    async def init(self, injector: Injector, /) -> None:
        """Open."""
        await super().init(injector)
        self.files = injector.get(FileStorage)

    async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
        """Count what is to be written."""
        run = self.batch_jobs.run(batch_job_id)
        run.set_total(run.state.count())

    async def process_job(self, batch_job_id: str, /) -> None:
        """Write page after page; where the file ends then is saved with how far it is."""
        run = self.batch_jobs.run(batch_job_id)
        writer = TableWriter(COLUMNS)
        place = run.cursor or await self._begin(writer)
        while products := run.state.page(place["after"], self.chunk):
            place = await self._append(place, writer.rows([asdict(product) for product in products]))
            place |= {"after": products[-1].sku, "done": place["done"] + len(products)}
            await run.save(cursor=place, done=place["done"], counts={RowOutcome.DONE: place["done"]})
        file = await self.files.finish(place["file"])
        run.set_result({"file": file.key, "size": file.size, "sha256": file.sha256})

    async def stored_files(
        self,
        context: Mapping[str, Any],  # noqa: ARG002 - it names no file
        result: Mapping[str, Any] | None,
        /,
    ) -> list[str]:
        """Return the file: it goes with the batch job."""
        return [] if result is None else [result["file"]]

    async def build_template(self) -> str:
        """Return none: nothing is uploaded."""
        return ""

    async def _begin(self, writer: TableWriter) -> dict[str, Any]:
        # A run that dies before its first save leaves a file that nobody knows: it expires.
        key = await self.files.begin("products.csv", media_type="text/csv", expires_in=timedelta(days=7))
        return await self._append({"file": key, "size": 0, "after": "", "done": 0}, writer.header())

    async def _append(self, place: dict[str, Any], data: bytes) -> dict[str, Any]:
        # Cuts off what a run wrote after its last save.
        await self.files.append(place["file"], place["size"], data)
        return place | {"size": place["size"] + len(data)}


def make_app(path: str) -> Conveyor:
    """Return an app whose store, and whose catalogue, are in one SQLite file."""

    @asynccontextmanager
    async def lifespan(_: Conveyor) -> AsyncIterator[Catalogue]:
        catalogue = Catalogue(path)
        yield catalogue
        catalogue.connection.close()

    return Conveyor(f"sqlite:///{path}", batch_strategies=[ProductImport, ProductExport], lifespan=lifespan)


def _product(row: tuple[str, str, str, int]) -> Product:
    return Product(row[0], row[1], Decimal(row[2]), row[3])


def _outcome(known: Product | None, row: Product) -> RowOutcome:
    if known is None:
        return RowOutcome.CREATED
    return RowOutcome.SKIPPED if known == row else RowOutcome.UPDATED
