"""Files: ``app.files``, the files of batch jobs: what is uploaded, and what exports wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from conveyor._services import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from conveyor._services.services import Services
    from conveyor.model.durations import Duration
    from conveyor.model.stored_files import StoredFile

__all__ = ["Files"]


class Files:
    """The app's file storage, for as long as the app is open."""

    def __init__(self, services: Services) -> None:
        """Bind to an app's services."""
        self._services = services

    async def write(
        self,
        name: str,
        chunks: AsyncIterable[bytes],
        *,
        media_type: str | None = None,
        expires_in: Duration | None = None,
    ) -> StoredFile:
        """Keep a new file, and return it once it is whole; the next chunk is asked for when there is room.

        Args:
            name: what people call it, such as "products.csv".
            chunks: its bytes.
            media_type: None: what the ending of the name says.
            expires_in: how long it is there; None: until it is deleted.

        Raises:
            BatchJobError: it is no name, or no media type.
            StoreUnavailableError: the storage cannot be used now; nothing was kept.
        """
        return await files.write(self._services, name, chunks, media_type=media_type, expires_in=expires_in)

    async def write_workbook(
        self, name: str, file: BinaryIO, *, sheet: str | None = None, expires_in: Duration | None = None
    ) -> StoredFile:
        """Keep a sheet of a spreadsheet (XLSX) as a CSV file, which batch jobs can read. It needs ``conveyor[xlsx]``.

        Args:
            name: what people call it, such as "products.xlsx"; it is kept as "products.csv".
            file: the spreadsheet, open for reading; it must be seekable.
            sheet: its name; None: the first.
            expires_in: how long it is there; None: until it is deleted.

        Raises:
            BadFileError: it is no spreadsheet, is too large, or has no such sheet; nothing was kept.
            ConfigurationError: openpyxl is not installed.
            StoreUnavailableError: the storage cannot be used now; nothing was kept.
        """
        return await files.write_workbook(self._services, name, file, sheet=sheet, expires_in=expires_in)

    def read(self, key: str, offset: int = 0) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a file, with ``async with``, to read it from an offset on in blocks.

        Raises:
            StoredFileNotFoundError: there is none, or not any more.
        """
        return self._services.file_storage.read(key, offset)

    async def find(self, key: str) -> StoredFile | None:
        """Return what is known of a file; None: there is none, or not any more."""
        return await self._services.file_storage.find(key)

    async def delete(self, key: str) -> bool:
        """Delete a file, and return whether there was one."""
        return await self._services.file_storage.delete(key)

    async def remove_expired(self) -> int:
        """Delete the files that have expired, as workers do now and then; return how many there were."""
        return await self._services.file_storage.remove_expired()
