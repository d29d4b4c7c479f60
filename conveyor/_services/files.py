"""What is done with stored files, beside what their storage does."""

from __future__ import annotations

import mimetypes
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio.to_thread

from conveyor.codec.tables import read_workbook
from conveyor.codec.tables.forms import OF_WORKBOOK
from conveyor.model.checks import longer_than_zero

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from conveyor._services.services import Services
    from conveyor.model.durations import Duration
    from conveyor.model.stored_files import StoredFile

__all__ = ["write", "write_workbook"]

UNKNOWN: Final = "application/octet-stream"
# What the systems' own lists of types disagree about.
_KNOWN: Final = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}


async def write(
    services: Services,
    name: str,
    chunks: AsyncIterable[bytes],
    *,
    media_type: str | None,
    expires_in: Duration | None,
) -> StoredFile:
    """Keep a new file; see `Files.write`."""
    lasting = None if expires_in is None else longer_than_zero(expires_in, "expires_in")
    kind = media_type if media_type is not None else _guess(name)
    return await services.file_storage.write(name, chunks, media_type=kind, expires_in=lasting)


async def write_workbook(
    services: Services, name: str, file: BinaryIO, *, sheet: str | None, expires_in: Duration | None
) -> StoredFile:
    """Keep a sheet of a spreadsheet as a CSV file; see `Files.write_workbook`."""
    chunks = _in_threads(file, sheet)
    return await write(services, f"{PurePath(name).stem}.csv", chunks, media_type=OF_WORKBOOK, expires_in=expires_in)


async def _in_threads(file: BinaryIO, sheet: str | None) -> AsyncIterator[bytes]:
    chunks = read_workbook(file, sheet=sheet)
    while chunk := await anyio.to_thread.run_sync(partial(next, chunks, b"")):
        yield chunk


def _guess(name: str) -> str:
    known = next((kind for ending, kind in _KNOWN.items() if name.lower().endswith(ending)), None)
    return known or mimetypes.guess_type(name)[0] or UNKNOWN
