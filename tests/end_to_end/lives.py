"""``python -m tests.end_to_end.lives URL BACKEND FOLDER ROWS MOMENT``: a program that works for several batch jobs.

There is a moment before and after whatever it writes: at the one of this number it kills itself, at 0 at none. Started
again it goes on. It prints what came of the batch jobs, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio
from attrs import asdict

from conveyor import AbstractBatchJobStrategy, Conveyor, ErrorPolicy, FileParams, RowBatchStrategy
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor.codec.tables import TableWriter
from conveyor.contracts.file_storage import FileStorage
from conveyor.errors import BatchJobNotFoundError
from tests.end_to_end.importing import Params, Product

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor import BatchJob, RowContext
    from conveyor.contracts.strategy import Injector
    from conveyor.model.batches.values import BatchJobData

__all__ = ["IMPORTS", "is_bad"]

CHUNK: Final = 100
PARTS: Final = 3


def is_bad(number: int) -> bool:
    """Whether the database refuses this row."""
    return number % 499 == 0


class Life:
    """Ends at one of its moments."""

    def __init__(self, last: int) -> None:
        """Take the number of that moment; 0: none."""
        self._last = last
        self._moments = count(1)

    def go_on(self) -> None:
        """Come to the next moment."""
        if next(self._moments) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


class FromFile(RowBatchStrategy[Product, FileParams]):
    """Writes the numbers of a file into the table of its name."""

    identifier = "from_file"
    batch_type = "from_file"
    row = Product
    params: type[Any] = FileParams
    chunk_size: ClassVar[int] = CHUNK
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()
    max_retries: ClassVar[int] = 100

    def __init__(self, life: Life, value: str) -> None:
        """Take what stands for a value in a statement of the store."""
        self.life = life
        self.value = value

    async def should_retry_on_processing_error(self, batch_job: BatchJobData, error: Exception, /) -> bool:
        """Whether only the machine was too busy."""
        return isinstance(error, TimeoutError)

    async def process(self, rows: Sequence[Product], context: RowContext[Any], /) -> None:
        """Write numbers."""
        self.life.go_on()
        statement = f"INSERT INTO {self.batch_type} (number) VALUES ({self.value})"
        await context.connection.executemany(statement, [(row.number,) for row in rows])
        self.life.go_on()


class FileInParts(FromFile):
    """The same, divided by the bytes of the file."""

    identifier = "file_in_parts"
    batch_type = "file_in_parts"
    parts: ClassVar[int] = PARTS


class Made(FromFile):
    """Writes numbers that are made."""

    identifier = "made"
    batch_type = "made"
    params: type[Any] = Params

    async def source(self, context: RowContext[Any], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        """Yield numbers, bad ones negative; that may be while a chunk is committed."""
        for number in range((cursor or 0) + 1, context.params.rows + 1):
            if number % CHUNK == 0:
                self.life.go_on()
            yield Product(-number if is_bad(number) else number), number


class MadeInParts(Made):
    """The same, divided by its rows."""

    identifier = "made_in_parts"
    batch_type = "made_in_parts"
    parts: ClassVar[int] = PARTS


class Export(AbstractBatchJobStrategy):
    """Writes numbers into a file; a run goes on where the one before it ended."""

    identifier = "export"
    batch_type = "export"

    def __init__(self, life: Life) -> None:
        """Take how long the program lives."""
        self.life = life

    async def init(self, injector: Injector, /) -> None:
        """Open."""
        await super().init(injector)
        self.files = injector.get(FileStorage)

    async def process_job(self, batch_job_id: str, /) -> None:
        """Write page after page; where the file ends then is saved with how far it is."""
        run, writer = self.batch_jobs.run(batch_job_id), TableWriter(("number",))
        rows = run.context["rows"]
        place: dict[str, Any] = run.cursor or {}
        if not place:
            place = {"file": await self.files.begin("rows.csv", media_type="text/csv"), "size": 0, "done": 0}
        while (done := place["done"]) < rows:
            numbers = range(done + 1, min(done + CHUNK, rows) + 1)
            data = writer.rows([asdict(Product(number)) for number in numbers])
            self.life.go_on()
            await self.files.append(place["file"], place["size"], data)
            self.life.go_on()
            place |= {"size": place["size"] + len(data), "done": numbers[-1]}
            await run.save(cursor=place, done=place["done"])
            self.life.go_on()
        file = await self.files.finish(place["file"])
        run.set_result({"file": file.key})

    async def build_template(self) -> str:
        """Return none: nothing is uploaded."""
        return ""


IMPORTS: Final = ("made", "made_in_parts", "from_file", "file_in_parts")
KINDS: Final = (*IMPORTS, "export")


async def blocks(rows: int) -> AsyncIterator[bytes]:
    """Yield a file of numbers, bad ones negative."""
    yield b"number\n"
    for number in range(1, rows + 1):
        yield f"{-number if is_bad(number) else number}\n".encode()


async def find_or_create(app: Conveyor, kind: str, rows: int) -> BatchJob:
    """Return the batch job of a kind."""
    try:
        return await app.batches.get(kind)
    except BatchJobNotFoundError:
        has_file = kind in (FromFile.batch_type, FileInParts.batch_type)
        context = {"file": (await app.files.write("rows.csv", blocks(rows))).key} if has_file else {"rows": rows}
        return await app.batches.create(kind, context, id=kind)


async def outcome(app: Conveyor, batch: BatchJob) -> dict[str, Any]:
    """Return what came of a batch job, and a digest of the file that it wrote or that tells of its bad rows."""
    errors = [asdict(error) async for error in batch.errors()]
    found = {"status": batch.status, "done": batch.data.done, "counts": dict(batch.counts), "errors": errors}
    digest = hashlib.sha256()
    if batch.batch_type == "export":
        async with app.files.read((batch.result or {})["file"]) as exported:
            async for block in exported:
                digest.update(block)
    elif "file" in batch.context:
        async for block in app.batches.error_file(batch.id):
            digest.update(block)
    return {**found, "sha256": digest.hexdigest()}


async def main(url: str, folder: Path, rows: int, life: Life) -> None:
    """Create the batch jobs, or find them, and work until they have ended."""
    value = "?" if url.startswith("sqlite:") else "$1"
    strategies = [*(kind(life, value) for kind in (Made, MadeInParts, FromFile, FileInParts)), Export(life)]
    storage = LocalFileStorage(LocalFilesOptions(directory=str(folder)))
    app = Conveyor(url, batch_strategies=strategies, file_storage=storage)
    worker = app.worker(
        concurrency=10, lock_duration="6 seconds", stalled_interval="100 milliseconds", max_stalled=1000
    )
    async with app, worker:
        batches = [await find_or_create(app, kind, rows) for kind in KINDS]
        for batch in batches:
            await batch.wait_until_ended()
        json.dump({batch.id: await outcome(app, batch) for batch in batches}, sys.stdout)


if __name__ == "__main__":
    _url, _backend, _folder, _rows, _moment = sys.argv[1:]
    anyio.run(main, _url, Path(_folder), int(_rows), Life(int(_moment)), backend=_backend)
