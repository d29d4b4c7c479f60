"""``python -m tests.end_to_end.growing URL BACKEND FOLDER GAUGE ROWS…``: the memory that batch jobs take.

It runs each kind with each number of rows, and prints the peaks as JSON: of each kind, in bytes, in that order. The
gauge is `traced` or `resident`. What is made once is made before, in a run that is not measured.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio
from attrs import asdict, frozen

from conveyor import (
    AbstractBatchJobStrategy,
    BadRowError,
    BatchStatus,
    Conveyor,
    ErrorPolicy,
    FileParams,
    RowBatchStrategy,
    RowOutcome,
)
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor.codec.tables import TableForm, TableWriter
from conveyor.contracts.file_storage import FileStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from conveyor import BatchJob, RowContext
    from conveyor.contracts.strategy import Injector

__all__ = ["KINDS"]

COLUMNS: Final = ("number", "name")
BLOCK_ROWS: Final = 500
FILLER: Final = 240 * "."
WAIT: Final = "15 minutes"


@frozen
class Product:
    """A row."""

    number: int
    name: str


@frozen(kw_only=True)
class Params(FileParams):
    """Where rows come from: a file, or so many are made."""

    file: str = ""
    rows: int = 0


def product(number: int) -> Product:
    """Return a product; one in ten is bad, each in its own words. A thousand fill a block of a file."""
    return Product(number, f"{'bad' if number % 10 == 0 else 'good'} product {number} {FILLER}")


class FromFile(RowBatchStrategy[Product, Params]):
    """Writes the rows of a file; what it finds bad it says of each row."""

    identifier = "from_file"
    batch_type = "from_file"
    row = Product
    params = Params
    chunk_size: ClassVar[int] = 100
    # As large as that, however busy the machine is.
    chunk_seconds: ClassVar[float] = 60
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()
    rollback_safe: ClassVar[bool] = True

    def __init__(self, insert: str) -> None:
        """Take the statement that writes a row."""
        self.insert = insert

    async def process(
        self, rows: Sequence[Product], context: RowContext[Params], /
    ) -> Sequence[RowOutcome | BadRowError]:
        """Write them."""
        found = [_bad(row) if row.name.startswith("bad") else RowOutcome.CREATED for row in rows]
        good = [(row.number, row.name) for row, one in zip(rows, found, strict=True) if one is RowOutcome.CREATED]
        await context.connection.executemany(self.insert, good)
        return found


class Made(FromFile):
    """Writes rows that are made."""

    identifier = "made"
    batch_type = "made"

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        """Make products."""
        for number in range((cursor or 0) + 1, context.params.rows + 1):
            yield product(number), number


class CheckedInParts(Made):
    """Writes rows that are checked one by one, in parts."""

    identifier = "checked_in_parts"
    batch_type = "checked_in_parts"
    parts: ClassVar[int] = 4

    async def check(self, row: Product, context: RowContext[Params], /) -> None:
        """Refuse bad ones."""
        if row.name.startswith("bad"):
            raise _bad(row)


class Export(AbstractBatchJobStrategy):
    """Writes products into a file, page after page."""

    identifier = "export"
    batch_type = "export"

    async def init(self, injector: Injector, /) -> None:
        """Open."""
        await super().init(injector)
        self.files = injector.get(FileStorage)

    async def process_job(self, batch_job_id: str, /) -> None:
        """Append pages."""
        run, writer, done = self.batch_jobs.run(batch_job_id), TableWriter(COLUMNS), 0
        key, size = await self.files.begin("products.csv", media_type="text/csv"), 0
        while done < run.context["rows"]:
            numbers = range(done + 1, min(done + BLOCK_ROWS, run.context["rows"]) + 1)
            data = writer.rows([asdict(product(number)) for number in numbers])
            await self.files.append(key, size, data)
            size, done = size + len(data), numbers[-1]
            await run.save(cursor={"file": key, "size": size}, done=done)
        await self.files.finish(key)

    async def build_template(self) -> str:
        """Return none."""
        return ""


def _bad(row: Product) -> BadRowError:
    return BadRowError("odd", f"{row.name} is odd", column="name")


async def blocks(rows: int, form: TableForm) -> AsyncIterator[bytes]:
    """Yield a file of products."""
    writer = TableWriter(COLUMNS, form)
    yield writer.header()
    for first in range(1, rows + 1, BLOCK_ROWS):
        yield writer.rows([asdict(product(number)) for number in range(first, min(first + BLOCK_ROWS, rows + 1))])


async def run(app: Conveyor, rows: int, batch_type: str, context: Mapping[str, Any], **options: Any) -> BatchJob:
    """Run a batch job to its end."""
    batch = await app.batches.create(batch_type, context, **options)
    await batch.wait_until_ended(WAIT)
    assert batch.status in (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS), batch.error
    assert batch.progress.done == rows
    return batch


async def run_made(app: Conveyor, rows: int, *, batch_type: str, dry_run: bool = False) -> None:
    """Run one whose rows are made."""
    await run(app, rows, batch_type, {"rows": rows}, dry_run=dry_run)


async def run_file(app: Conveyor, rows: int) -> None:
    """Upload a file, import it, download its bad rows, and try these again."""
    file = await app.files.write("products.csv", blocks(rows, TableForm.CSV))
    batch = await run(app, rows, "from_file", {"file": file.key})
    assert batch.counts[RowOutcome.FAILED] == rows // 10
    size = 0
    async for block in app.batches.error_file(batch.id):
        size += len(block)
    assert size > rows
    again = await app.batches.retry(batch.id, failed_rows=True)
    await again.wait_until_ended(WAIT)
    assert again.counts[RowOutcome.FAILED] == rows // 10


async def run_lines(app: Conveyor, rows: int) -> None:
    """Import a file of JSON lines."""
    file = await app.files.write("products.jsonl", blocks(rows, TableForm.JSONL))
    await run(app, rows, "from_file", {"file": file.key})


KINDS: Final[Mapping[str, Callable[[Conveyor, int], Awaitable[None]]]] = {
    "made": partial(run_made, batch_type="made"),
    "checked, in parts": partial(run_made, batch_type="checked_in_parts"),
    "dry run": partial(run_made, batch_type="made", dry_run=True),
    "file": run_file,
    "JSON lines": run_lines,
    "export": partial(run_made, batch_type="export"),
}


class Traced:
    """Tells the most memory that Python's objects took at once since it began, above what was there then."""

    def __init__(self) -> None:
        """Begin."""
        tracemalloc.start()
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]

    def peak(self) -> int:
        """Return bytes."""
        return tracemalloc.get_traced_memory()[1] - self._before


class Resident:
    """Tells the most memory that the process had at once since this began: tracing takes too long for many rows."""

    def __init__(self) -> None:
        """Begin."""
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")

    def peak(self) -> int:
        """Return bytes."""
        # Not what getrusage says: there it is that of the parent, where that had more.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


GAUGES: Final[Mapping[str, type[Traced | Resident]]] = {"traced": Traced, "resident": Resident}


async def peak_of(kind: Callable[[], Awaitable[None]], gauge: type[Traced | Resident]) -> int:
    """Return what was needed at most while a batch job ran."""
    gc.collect()
    found = gauge()
    await kind()
    return found.peak()


async def main(url: str, folder: Path, gauge: type[Traced | Resident], numbers: Sequence[int]) -> None:
    """Run all, and print what they took."""
    values = "?, ?" if url.startswith("sqlite") else "$1, $2"
    insert = f"INSERT INTO products VALUES ({values})"
    storage = LocalFileStorage(LocalFilesOptions(directory=str(folder)))
    strategies = [Made(insert), CheckedInParts(insert), FromFile(insert), Export()]
    app = Conveyor(url, batch_strategies=strategies, file_storage=storage)
    peaks = {}
    async with app, app.worker(concurrency=8):
        for name, kind in KINDS.items():
            await kind(app, min(numbers))
            peaks[name] = [await peak_of(partial(kind, app, rows), gauge) for rows in numbers]
    sys.stdout.write(f"{json.dumps(peaks)}\n")


if __name__ == "__main__":
    _url, _backend, _folder, _gauge, *_rows = sys.argv[1:]
    anyio.run(main, _url, Path(_folder), GAUGES[_gauge], [int(rows) for rows in _rows], backend=_backend)
