"""Files on their way from the command line into the app's file storage."""

from __future__ import annotations

import sys
import tempfile
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import anyio
import anyio.to_thread
from attrs import frozen

from conveyor._cli.batches.parameters import STDIN
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.opening import services_of
from conveyor.contracts.row_batches import RowBatchStrategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._app import Conveyor

__all__ = ["Upload", "make_upload", "put"]

_WORKBOOKS: Final = (".xlsx", ".xlsm")
_BLOCK: Final = 1 << 18
# As long as one may want to try its failed rows again.
_KEPT: Final = timedelta(days=30)


@frozen
class Upload:
    """A file that becomes a batch job.

    Attributes:
        file: its path; "-": standard input.
        name: what it is called.
        is_workbook: whether it is a spreadsheet of rows.
        sheet: which of its sheets; None: the first.
    """

    file: str
    name: str
    is_workbook: bool
    sheet: str | None


def make_upload(app: Conveyor, batch_type: str, file: str, name: str | None, sheet: str | None) -> Upload:
    """Return what is to be uploaded.

    Raises:
        CommandError: a sheet is named of what is no spreadsheet of rows.
    """
    called = name or ("standard-input.csv" if file == STDIN else Path(file).name)
    strategy = services_of(app).batches.get(batch_type).given
    # Other strategies read their files themselves, in whatever format they like.
    is_workbook = called.lower().endswith(_WORKBOOKS) and isinstance(strategy, RowBatchStrategy)
    if sheet is not None and not is_workbook:
        raise CommandError(ExitCode.USAGE, f"--sheet {sheet!r}: {called!r} is no spreadsheet of rows")
    return Upload(file, called, is_workbook, sheet)


async def put(app: Conveyor, upload: Upload) -> str:
    """Put a file into the app's file storage, and return its key. A spreadsheet of rows is put there as CSV.

    Raises:
        CommandError: it cannot be read.
        BadFileError: it is no spreadsheet, though its name says so, or has no such sheet.
    """
    try:
        async with _opened(upload) as source:
            if upload.is_workbook:
                stored = await app.files.write_workbook(upload.name, source, sheet=upload.sheet, expires_in=_KEPT)
            else:
                stored = await app.files.write(upload.name, _blocks(source), expires_in=_KEPT)
    except OSError as exc:
        raise CommandError(ExitCode.FAILED, f"{upload.file!r} cannot be read: {exc}") from exc
    return stored.key


@asynccontextmanager
async def _opened(upload: Upload) -> AsyncIterator[BinaryIO]:
    if upload.file != STDIN:
        async with await anyio.open_file(upload.file, "rb") as source:
            yield cast("BinaryIO", source.wrapped)
    elif upload.is_workbook:
        # The list of what is in it stands at its end.
        with tempfile.TemporaryFile() as spool:
            async for block in _blocks(sys.stdin.buffer):
                await anyio.to_thread.run_sync(spool.write, block)
            spool.seek(0)
            yield spool
    else:
        yield sys.stdin.buffer


async def _blocks(source: BinaryIO) -> AsyncIterator[bytes]:
    while block := await anyio.to_thread.run_sync(source.read, _BLOCK):
        yield block
