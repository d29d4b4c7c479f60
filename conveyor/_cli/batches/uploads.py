"""Files between the command line and the app's file storage: what is uploaded, and the bad rows of it."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from conveyor._cli.batches.running import STDIN
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.output import say
from conveyor.codec.tables import ErrorFileWriter, TableForm, TableReader
from conveyor.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._app import Conveyor
    from conveyor._handles.batch_job import BatchJob
    from conveyor.codec.tables import TableFormat
    from conveyor.model.batches.values import RowError

__all__ = ["upload", "write_error_file"]

_BLOCK: Final = 1 << 18
_ROWS: Final = 500
# As long as one may want to try its failed rows again.
_KEPT: Final = timedelta(days=30)


async def upload(app: Conveyor, file: str, name: str | None) -> str:
    """Put a file into the app's file storage, and return its key.

    Args:
        app: it is open.
        file: its path; "-": standard input.
        name: what it is called; None: as the path says.

    Raises:
        CommandError: it cannot be read.
    """
    called = name or ("standard-input.csv" if file == STDIN else Path(file).name)
    try:
        if file == STDIN:
            stored = await app.files.write(called, _blocks(sys.stdin.buffer), expires_in=_KEPT)
        else:
            async with await anyio.open_file(file, "rb") as source:
                stored = await app.files.write(called, _blocks(source.wrapped), expires_in=_KEPT)
    except OSError as exc:
        raise CommandError(ExitCode.FAILED, f"{file!r} cannot be read: {exc}") from exc
    return stored.key


async def write_error_file(app: Conveyor, batch: BatchJob, key: str, path: Path) -> None:
    """Write the bad rows of a batch job as they stood in its file, with what is wrong about them.

    Raises:
        CommandError: the file cannot be written.
    """
    table = await _format_of(app, batch, key)
    if table is None:
        say(f"its file is no table, so there is no error file: conveyor batch errors {batch.id}")
        return
    writer = ErrorFileWriter(table)
    count = 0
    # Under another name until it is whole.
    part = path.with_name(f"{path.name}.part")
    try:
        async with await anyio.open_file(part, "wb") as target:
            await target.write(writer.header())
            async for rows in _in_chunks(batch.errors()):
                await target.write(writer.rows(rows))
                count += len(rows)
        part.replace(path)
    except OSError as exc:
        raise CommandError(ExitCode.FAILED, f"{str(path)!r} cannot be written: {exc}") from exc
    finally:
        part.unlink(missing_ok=True)
    say(f"bad rows: {count} in {path}; mend them, and run that file")


async def _blocks(source: IO[bytes]) -> AsyncIterator[bytes]:
    while block := await anyio.to_thread.run_sync(source.read, _BLOCK):
        yield block


async def _format_of(app: Conveyor, batch: BatchJob, key: str) -> TableFormat | None:
    """Return how a stored file is written, as the context says it where it is a `FileParams`; None: it is no table."""
    stored = await app.files.find(key)
    name = "" if stored is None else stored.name.lower()
    form = TableForm.JSONL if name.endswith((".jsonl", ".ndjson")) else TableForm.CSV
    encoding, delimiter = batch.context.get("encoding"), batch.context.get("delimiter")
    reader = TableReader(form, encoding=encoding, delimiter=delimiter)
    try:
        async with app.files.read(key) as blocks:
            async for block in blocks:
                reader.feed(block)
                if reader.format is not None:
                    return reader.format
        reader.finish()
    except BadFileError:
        return None
    return reader.format


async def _in_chunks(errors: AsyncIterator[RowError]) -> AsyncIterator[list[RowError]]:
    chunk: list[RowError] = []
    async for error in errors:
        chunk.append(error)
        if len(chunk) == _ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
