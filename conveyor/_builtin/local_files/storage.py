"""LocalFileStorage: files in a directory of this machine, read and written in threads."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

import anyio.to_thread
import uuid_utils
from attrs import evolve

from conveyor._builtin.local_files.disk import BLOCK, Disk, Record, write_all
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor.contracts.clock import Clock
from conveyor.contracts.store import Store
from conveyor.errors import BatchJobError, ConfigurationError, StoreUnavailableError
from conveyor.model.stored_files import StoredFile, check_file_name, check_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
    from datetime import datetime
    from io import FileIO

    from conveyor.contracts.strategy import Injector

__all__ = ["LocalFileStorage"]

T = TypeVar("T")

FOLDER: Final = "conveyor_files"
CLEAN_UP_SECONDS: Final = 10.0
# Threads of its own: a program whose threads all wait for a file would wait for ever, were those the same.
THREADS: Final = 8


@runtime_checkable
class _InFile(Protocol):
    """A store that is one file."""

    @property
    def path(self) -> Path: ...


class LocalFileStorage:
    """Files in a directory. Processes of one machine share it; those of several need another storage."""

    def __init__(self, options: LocalFilesOptions | None = None) -> None:
        """Say where; nothing is made before the first file."""
        self._options = options if options is not None else LocalFilesOptions()
        self._disk: Disk | None = None
        self._clock: Clock | None = None
        self._threads: anyio.CapacityLimiter | None = None
        self._is_temporary = False

    async def init(self, injector: Injector, /) -> None:
        """Find the directory."""
        self._clock = injector.get(Clock)
        self._threads = anyio.CapacityLimiter(THREADS)
        self._disk = Disk(self._find_directory(injector.get(Store)))

    async def destroy(self) -> None:
        """Forget what was for this run of the program only."""
        # Most programs have written no file, and need no thread to forget none.
        if self._is_temporary and self._disk is not None and self._disk.directory.exists():
            await self._in_thread(partial(shutil.rmtree, self._disk.directory, ignore_errors=True))
        self._disk = None

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._opened.directory

    async def write(
        self, name: str, chunks: AsyncIterable[bytes], /, *, media_type: str, expires_in: timedelta | None = None
    ) -> StoredFile:
        """Keep a new file; see `FileStorage.write`."""
        disk = self._opened
        record, key = self._new(name, media_type, expires_in)
        is_kept = False
        file = await self._in_thread(partial(disk.create, key))
        try:
            record = await self._pour(chunks, file, record)
            await self._in_thread(partial(disk.keep, key, record))
            is_kept = True
        finally:
            file.close()
            if not is_kept:
                with anyio.CancelScope(shield=True), anyio.move_on_after(CLEAN_UP_SECONDS):
                    await self._in_thread(partial(disk.delete, key))
        return record.as_file(key)

    async def begin(self, name: str, /, *, media_type: str, expires_in: timedelta | None = None) -> str:
        """Begin a file; see `FileStorage.begin`."""
        disk = self._opened
        record, key = self._new(name, media_type, expires_in)

        def begin() -> None:
            disk.create(key).close()
            disk.keep(key, record)

        await self._in_thread(begin)
        return key

    async def append(self, key: str, offset: int, data: bytes, /) -> None:
        """Write a piece of a file; see `FileStorage.append`."""
        await self._in_thread(partial(self._opened.append, key, offset, data, self._now))

    async def finish(self, key: str, /) -> StoredFile:
        """Say that a file is whole; see `FileStorage.finish`."""
        return await self._in_thread(partial(self._opened.finish, key, self._now))

    @asynccontextmanager
    async def read(self, key: str, offset: int = 0, /) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a file to read it; see `FileStorage.read`."""
        file = await self._in_thread(partial(self._opened.open, key, offset, self._now))
        try:
            # Who has seen enough leaves in the middle.
            async with aclosing(self._blocks(file)) as blocks:
                yield blocks
        finally:
            file.close()

    async def find(self, key: str, /) -> StoredFile | None:
        """Return a file; see `FileStorage.find`."""
        record = await self._in_thread(partial(self._opened.find, key, self._now))
        return None if record is None or record.sha256 is None else record.as_file(key)

    async def delete(self, key: str, /) -> bool:
        """Delete a file; see `FileStorage.delete`."""
        return await self._in_thread(partial(self._opened.delete, key))

    async def remove_expired(self) -> int:
        """Delete what has expired; see `FileStorage.remove_expired`."""
        if not self._opened.directory.is_dir():
            return 0  # most programs have no files: that is no thread's work
        abandoned_after = self._options.abandoned_after
        return await self._in_thread(partial(self._opened.remove_expired, self._now, abandoned_after))

    @property
    def _opened(self) -> Disk:
        if self._disk is None:
            raise ConfigurationError("the file storage is not open: use it inside `async with app:`")
        return self._disk

    @property
    def _now(self) -> datetime:
        if self._clock is None:
            raise ConfigurationError("the file storage is not open: use it inside `async with app:`")
        return self._clock.now()

    def _find_directory(self, store: Store) -> Path:
        if self._options.directory is not None:
            return Path(self._options.directory).absolute()
        if isinstance(store, _InFile):
            return store.path.absolute().parent / FOLDER
        if store.capabilities.is_durable:
            return Path(FOLDER).absolute()
        self._is_temporary = True
        # Its name is nobody's to guess, and it is made when it is needed.
        return Path(tempfile.gettempdir()) / f"{FOLDER}-{uuid_utils.uuid4().hex}"

    def _new(self, name: str, media_type: str, expires_in: timedelta | None) -> tuple[Record, str]:
        now = self._now
        if expires_in is not None and expires_in <= timedelta(0):
            raise BatchJobError(f"expires_in must be longer than zero, got {expires_in!r}")
        expires_at = None if expires_in is None else now + expires_in
        record = Record(check_file_name(name), check_media_type(media_type), now, expires_at)
        return record, uuid_utils.uuid7().hex

    async def _pour(self, chunks: AsyncIterable[bytes], file: FileIO, record: Record) -> Record:
        """Write chunks as they come; the next is asked for when the one before is on its way to the disk."""
        digest, size = hashlib.sha256(), 0

        def write(data: bytes) -> None:
            write_all(file, data)
            digest.update(data)

        waiting = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            waiting += chunk
            # A thread is not worth its while for a line.
            if len(waiting) >= BLOCK:
                await self._in_thread(partial(write, bytes(waiting)))
                waiting.clear()
        await self._in_thread(partial(write, bytes(waiting)))
        await self._in_thread(partial(os.fsync, file.fileno()))
        return evolve(record, size=size, sha256=digest.hexdigest())

    async def _blocks(self, file: FileIO) -> AsyncGenerator[bytes, None]:
        while block := await self._in_thread(partial(file.read, BLOCK)):
            yield block

    async def _in_thread(self, step: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(step, limiter=self._threads)
        except OSError as exc:
            raise StoreUnavailableError(
                f"the files in {self._opened.directory} cannot be used: {exc}; mend that, and try again"
            ) from exc
