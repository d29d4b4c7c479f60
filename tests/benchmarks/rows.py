"""Batch jobs of rows beside a bare loop that does the same writes in the same chunks, and what memory they take."""

from __future__ import annotations

import csv
import resource
from collections import defaultdict
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import frozen

from conveyor import BatchStatus, Conveyor, FileParams, RowBatchStrategy
from conveyor._builtin.sqlite.connections import connect_writer
from conveyor._builtin.sqlite.options import parse_url

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from conveyor import RowContext

__all__ = ["measure_rows", "measure_rows_memory"]

ROWS: Final = 100_000
FEW_ROWS: Final = 1_000
MANY_ROWS: Final = 1_000_000
CHUNK: Final = 500
TURNS: Final = 3
BLOCK: Final = 1 << 16
TABLE: Final = "CREATE TABLE IF NOT EXISTS products (sku TEXT PRIMARY KEY, title TEXT, price INTEGER)"
INSERT: Final = "INSERT INTO products VALUES (?, ?, ?)"


@frozen
class Product:
    """A row."""

    sku: str
    title: str
    price: int


@frozen(kw_only=True)
class Params(FileParams):
    """Where rows come from: a file, or so many are made."""

    file: str = ""
    rows: int = 0


class FromFile(RowBatchStrategy[Product, Params]):
    """Inserts the products of a file."""

    identifier = "from_file"
    batch_type = "from_file"
    row = Product
    params = Params
    chunk_size: ClassVar[int] = CHUNK

    async def process(self, rows: Sequence[Product], context: RowContext[Params], /) -> None:
        """Insert them."""
        await context.connection.executemany(INSERT, [(row.sku, row.title, row.price) for row in rows])


class Made(FromFile):
    """Inserts products that are made, so that reading takes no time."""

    identifier = "made"
    batch_type = "made"

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        """Make products."""
        for number in range(cursor or 0, context.params.rows):
            yield _product(number), number + 1


async def measure_rows(url: str) -> Mapping[str, float]:
    """Import a hundred thousand rows, from a file and made, in turn with bare loops; rows a second, in the median."""
    app = Conveyor(url, batch_strategies=[FromFile, Made])
    rates: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="conveyor-bench-") as folder:
        path = _write_file(Path(folder))
        async with app, app.worker():
            file = await app.files.write("products.csv", _blocks(path))
            # Disks are fast at one moment and slow at another: so the floor is measured again before each.
            for turn in range(TURNS):
                rates["floor rows_made"].append(_bare(f"{folder}/made{turn}.db", _made()))
                rates["rows_made"].append(await _import(app, url, "made", {"rows": ROWS}))
                rates["floor rows_file"].append(_bare(f"{folder}/file{turn}.db", _read(path)))
                rates["rows_file"].append(await _import(app, url, "from_file", {"file": file.key}))
    return {name: median(found) for name, found in rates.items()}


async def measure_rows_memory(url: str) -> Mapping[str, float]:
    """Import a thousand rows, then a million; by how many megabytes this process has grown in between."""
    app = Conveyor(url, batch_strategies=[Made])
    async with app, app.worker():
        await _import(app, url, "made", {"rows": FEW_ROWS})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await _import(app, url, "made", {"rows": MANY_ROWS})
        return {"rows_memory_growth_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


async def _import(app: Conveyor, url: str, batch_type: str, context: Mapping[str, Any]) -> float:
    """Import rows into an empty table, and return how many a second were processed."""
    with closing(_open(url)) as database:
        database.execute(TABLE)
        database.execute("DELETE FROM products")
    batch = await app.batches.create(batch_type, context)
    await batch.wait_until_ended()
    assert batch.status is BatchStatus.COMPLETED, batch.error
    began_at, ended_at = (batch.data.entered_at(status) for status in (BatchStatus.PROCESSING, BatchStatus.COMPLETED))
    assert began_at is not None
    assert ended_at is not None
    return batch.progress.done / (ended_at - began_at).total_seconds()


def _bare(path: str, rows: Iterable[Product]) -> float:
    """Insert rows in chunks, each in a transaction of the same database settings, and return how many a second.

    It is what anybody would write: `executemany` for each chunk of the same size, a commit that waits for the disk,
    and checkpoints as SQLite takes them by itself (conveyor takes its own). Its rows are of the same class, made in the
    loop; those of a file are read with `csv.DictReader`, and their numbers converted. It keeps no place to go on from,
    counts nothing, and knows nothing of bad rows.
    """
    with closing(_open(f"sqlite:///{path}")) as database:
        database.execute("PRAGMA wal_autocheckpoint = 1000")
        database.execute(TABLE)
        left, done, began_at = iter(rows), 0, perf_counter()
        while chunk := list(islice(left, CHUNK)):
            database.execute("BEGIN IMMEDIATE")
            database.executemany(INSERT, [(row.sku, row.title, row.price) for row in chunk])
            database.execute("COMMIT")
            done += len(chunk)
        return done / (perf_counter() - began_at)


def _open(url: str) -> sqlite3.Connection:
    return connect_writer(parse_url(url))


def _product(number: int) -> Product:
    return Product(f"sku-{number:08}", f"Product number {number}", number)


def _made() -> Iterator[Product]:
    return (_product(number) for number in range(ROWS))


def _read(path: Path) -> Iterator[Product]:
    with path.open(encoding="utf-8", newline="") as file:
        for values in csv.DictReader(file):
            yield Product(values["sku"], values["title"], int(values["price"]))


def _write_file(folder: Path) -> Path:
    path = folder / "products.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "title", "price"])
        writer.writerows((row.sku, row.title, row.price) for row in _made())
    return path


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
