"""A small database that rows are imported into, with transactions as a store's, and strategies that fill it."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import BadRowError
from conveyor.model.batches.policy import ErrorPolicy
from conveyor.model.batches.values import RowOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from conveyor.contracts.row_batches import RowContext


@frozen
class Product:
    """A row."""

    sku: str
    price: int


@frozen
class Params:
    """What an import is told."""

    rows: int = 0


class Catalogue:
    """A table of products in memory; as a store's transaction it has SAVEPOINT and undoes all that is not committed."""

    def __init__(self) -> None:
        # A catalogue that a run which failed has seen is found by the garbage collector, on whichever thread that runs.
        self.database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        # Since Python 3.13 a connection that nobody closed is a warning.
        weakref.finalize(self, self.database.close)
        self.database.execute("CREATE TABLE products (sku TEXT PRIMARY KEY, price INTEGER CHECK (price >= 0))")
        self.database.execute("CREATE TABLE writes (sku TEXT)")
        self.begun = 0

    def rows(self) -> list[tuple[str, int]]:
        return self.database.execute("SELECT sku, price FROM products ORDER BY rowid").fetchall()

    def writes(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM writes").fetchone()[0])

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Catalogue]:
        self.begun += 1
        self.database.execute("BEGIN")
        yield self

    @property
    def connection(self) -> Any:
        return self

    async def commit(self) -> None:
        self.database.execute("COMMIT")

    async def roll_back(self) -> None:
        if self.database.in_transaction:
            self.database.execute("ROLLBACK")

    async def execute(self, sql: str, /, *params: object) -> int:
        return self.database.execute(sql, params).rowcount

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> int:
        return self.database.executemany(sql, rows).rowcount


class Import(RowBatchStrategy[Product, Params]):
    """Writes products, those of a chunk together."""

    identifier = "import"
    batch_type = "products"
    row = Product
    params = Params
    rollback_safe: ClassVar[bool] = True
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    def __init__(self, products: Sequence[Product] = ()) -> None:
        self.products = products
        self.read: list[int] = []
        self.calls: list[int] = []

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        for index in range(cursor or 0, len(self.products)):
            self.read.append(index)
            yield self.products[index], index + 1

    async def check(self, row: Product, context: RowContext[Params], /) -> RowOutcome | None:
        if row.sku == "":
            raise BadRowError("required", "must not be empty", "sku")
        return RowOutcome.CREATED

    async def process(
        self, rows: Sequence[Product], context: RowContext[Params], /
    ) -> Sequence[RowOutcome | BadRowError | None]:
        self.calls.append(len(rows))
        await context.connection.executemany("INSERT INTO writes VALUES (?)", [(row.sku,) for row in rows])
        await context.connection.executemany(
            "INSERT INTO products VALUES (?, ?)", [(row.sku, row.price) for row in rows]
        )
        return [RowOutcome.CREATED] * len(rows)


class ImportOneByOne(Import):
    """The same, one product after another."""

    process = RowBatchStrategy.process  # type: ignore[assignment]

    async def process_one(self, row: Product, context: RowContext[Params], /) -> RowOutcome:
        self.calls.append(1)
        await context.connection.execute("INSERT INTO writes VALUES (?)", row.sku)
        await context.connection.execute("INSERT INTO products VALUES (?, ?)", row.sku, row.price)
        return RowOutcome.CREATED


def products(count: int, bad: Iterable[int] = ()) -> list[Product]:
    """So many products; those at these places have a price that the database refuses."""
    refused = set(bad)
    return [Product(f"sku-{index}", -1 if index in refused else index) for index in range(count)]
