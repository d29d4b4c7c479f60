"""``python -m tests.end_to_end.dividing URL BACKEND FOLDER``: one of two workers on a batch job in parts.

Neither begins a chunk before the other is about to, so both work on some of the parts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from attrs import frozen

from conveyor import Conveyor, ErrorPolicy, FileParams, RowBatchStrategy
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from tests.end_to_end.importing import BATCH_ID, Import, Product, say, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import RowContext
    from conveyor.contracts.batch_job import BatchJobStrategy

__all__ = ["PARTS", "WORKERS", "app_in"]

PARTS = 4
WORKERS = 2


@frozen
class Meeting:
    """Where workers meet: a folder in which each has a file once it has begun."""

    folder: Path

    async def wait(self) -> None:
        """Wait until all have begun."""
        (self.folder / str(os.getpid())).touch()
        while len([*self.folder.iterdir()]) < WORKERS:  # noqa: ASYNC110 - the others are processes
            await anyio.sleep(0.01)


class Dividing(Import):
    """Divided by the keys of its rows."""

    batch_type = "by_key"
    identifier = "by_key"
    chunk_size: ClassVar[int] = 20
    parts: ClassVar[int] = PARTS

    def __init__(self, meeting: Meeting) -> None:
        """Take where the workers meet."""
        self.meeting = meeting

    async def throttle(self, context: RowContext[Any], /) -> None:
        """Say that a chunk begins, once all are there."""
        await self.meeting.wait()
        say("chunk")


class DividingFile(RowBatchStrategy[Product, FileParams]):
    """Divided by the bytes of a file."""

    identifier = "by_bytes"
    batch_type = "by_bytes"
    row = Product
    params = FileParams
    chunk_size = Dividing.chunk_size
    parts = Dividing.parts
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    def __init__(self, meeting: Meeting) -> None:
        """Take where the workers meet."""
        self.meeting = meeting

    async def throttle(self, context: RowContext[Any], /) -> None:
        """Say that a chunk begins, once all are there."""
        await self.meeting.wait()
        say("chunk")

    async def process(self, rows: Sequence[Product], context: RowContext[Any], /) -> None:
        """Write numbers, and say so."""
        await write(context.connection, rows)


def app_in(url: str, folder: Path) -> Conveyor:
    """Return the app, whose files and whose meeting are in a folder."""
    meeting = folder / "meeting"
    meeting.mkdir(exist_ok=True)
    storage = LocalFileStorage(LocalFilesOptions(directory=str(folder / "files")))
    strategies: list[BatchJobStrategy] = [Dividing(Meeting(meeting)), DividingFile(Meeting(meeting))]
    return Conveyor(url, batch_strategies=strategies, file_storage=storage)


async def main(url: str, folder: Path) -> None:
    """Work until the batch job has ended."""
    app = app_in(url, folder)
    patient = app.worker(
        concurrency=PARTS // WORKERS, lock_duration="2 seconds", stalled_interval="100 milliseconds", max_stalled=100
    )
    async with app, patient:
        batch = await app.batches.get(BATCH_ID)
        await batch.wait_until_ended()
        say(f"{batch.status}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], Path(sys.argv[3]), backend=sys.argv[2])
