"""``python -m benchmarks.imports URL BACKEND``: a batch job of rows in turn with a bare loop over asyncpg, as JSON.

Both insert the same rows in the same chunks, each in a transaction of its own. Figures are rows a second, in the median
of some turns. The bare loop is what anybody would write: it keeps no place to go on from, counts nothing, and knows
nothing of bad rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import defaultdict
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio
import anyio.to_thread
import asyncpg
from attrs import frozen

from conveyor import BatchStatus, Conveyor, RowBatchStrategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from conveyor import RowContext

__all__ = ["measure"]

ROWS: Final = 100_000
CHUNK: Final = 500
TURNS: Final = 3
TABLE: Final = "drop table if exists products; create table products (sku text primary key, title text, price integer)"
INSERT: Final = "insert into products values ($1, $2, $3)"


@frozen
class Product:
    """A row."""

    sku: str
    title: str
    price: int


@frozen
class Params:
    """How many rows are made."""

    rows: int


class Import(RowBatchStrategy[Product, Params]):
    """Inserts products that are made, so that reading takes no time."""

    identifier = "import"
    batch_type = "import"
    row = Product
    params = Params
    chunk_size: ClassVar[int] = CHUNK

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        """Make products."""
        for number in range(cursor or 0, context.params.rows):
            yield _product(number), number + 1

    async def process(self, rows: Sequence[Product], context: RowContext[Params], /) -> None:
        """Insert them."""
        await context.connection.executemany(INSERT, [(row.sku, row.title, row.price) for row in rows])


async def measure(url: str, rows: int, turns: int) -> Mapping[str, float]:
    """Import in turn with the bare loop, and return how many rows a second each did."""
    rates: dict[str, list[float]] = defaultdict(list)
    app = Conveyor(url, batch_strategies=[Import])
    async with app, app.worker():
        for _ in range(turns):
            # Its own event loop: asyncpg knows no other than asyncio's.
            rates["floor"].append(await anyio.to_thread.run_sync(lambda: asyncio.run(_bare(url, rows))))
            rates["rows"].append(await _import(app, url, rows))
    return {name: median(found) for name, found in rates.items()}


async def _import(app: Conveyor, url: str, rows: int) -> float:
    await anyio.to_thread.run_sync(lambda: asyncio.run(_empty(url)))
    batch = await app.batches.create("import", {"rows": rows})
    await batch.wait_until_ended()
    if batch.status is not BatchStatus.COMPLETED:
        raise RuntimeError(f"the import is {batch.status}: {batch.error}")
    began_at, ended_at = (batch.data.entered_at(status) for status in (BatchStatus.PROCESSING, BatchStatus.COMPLETED))
    if began_at is None or ended_at is None:
        raise RuntimeError("the import was not processed")
    return rows / (ended_at - began_at).total_seconds()


async def _empty(url: str) -> None:
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(TABLE)
    finally:
        await connection.close()


async def _bare(url: str, rows: int) -> float:
    await _empty(url)
    connection: Any = await asyncpg.connect(url)
    try:
        left, began_at = _made(rows), time.perf_counter()
        while chunk := list(islice(left, CHUNK)):
            async with connection.transaction():
                await connection.executemany(INSERT, [(row.sku, row.title, row.price) for row in chunk])
        return rows / (time.perf_counter() - began_at)
    finally:
        await connection.close()


def _made(rows: int) -> Iterator[Product]:
    return (_product(number) for number in range(rows))


def _product(number: int) -> Product:
    return Product(f"sku-{number:08}", f"Product number {number}", number)


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=TURNS)
    given = parser.parse_args()
    print(json.dumps(anyio.run(measure, given.url, given.rows, given.turns, backend=given.backend)))


if __name__ == "__main__":
    main()
