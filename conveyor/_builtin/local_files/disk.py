"""Files in a directory, as plain functions that a thread calls: each is one step, whole or not there after a crash.

A file of key K is ``K.data``, its bytes, and ``K.json``, what is known of it. The second comes last and goes first, by
renaming and by unlinking: so what has no ``K.json`` was never there. Several processes may do anything at the same
time; what they do to one key then comes out as if one had been first.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from conveyor.codec import JsonCodec
from conveyor.errors import BatchJobError, PayloadError, StoredFileNotFoundError
from conveyor.model.stored_files import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

__all__ = ["BLOCK", "Disk", "Record", "write_all"]

BLOCK: Final = 1 << 18
# No other key is ever looked for: so none leads out of the directory.
_KEY_LENGTH: Final = 32
_KEY: Final = re.compile(rf"[0-9a-f]{{{_KEY_LENGTH}}}")
_RECORD: Final = ".json"
_DATA: Final = ".data"
_DRAFT: Final = ".draft"
# Data that nobody has claimed for long is put here before it is deleted.
_AWAY: Final = ".away"
# Uploads are nobody else's business.
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
# A link that somebody put in the place of a file is not followed. Windows has no such flag.
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


@frozen
class Record:
    """What ``K.json`` holds; without a hash the file was begun and is not whole."""

    name: str
    media_type: str
    created_at: datetime
    expires_at: datetime | None = None
    size: int = 0
    sha256: str | None = None

    def as_file(self, key: str) -> StoredFile:
        """Return the file of a record, which is whole."""
        return StoredFile(
            key, self.name, self.size, self.sha256 or "", self.media_type, self.created_at, self.expires_at
        )


_codec: Final = JsonCodec()
_decode: Final[Callable[[bytes], Record]] = _codec.decoder(Record)


class Disk:
    """One directory. Every method blocks; OSError is what it raises where the disk does not do."""

    def __init__(self, directory: Path) -> None:
        """Do nothing yet: the directory is made with the first file."""
        self.directory = directory

    def create(self, key: str) -> FileIO:
        """Open the data of a new file for writing."""
        self.directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        return self._open(key, _DATA, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def keep(self, key: str, record: Record) -> None:
        """Write what is known of a file, over what was known of it.

        Raises:
            StoredFileNotFoundError: somebody has deleted it meanwhile.
        """
        # Each writer has a draft of his own: who used another's would find it renamed, or half of it.
        ending = f".{secrets.token_hex(8)}{_DRAFT}"
        with self._open(key, ending, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            write_all(file, _codec.encode(record))
            os.fsync(file.fileno())
        self._path(key, ending).replace(self._path(key, _RECORD))
        if not self._path(key, _DATA).exists():
            # `delete` came in between, and what it deleted must not be there again.
            self._unlink(key, _RECORD)
            raise StoredFileNotFoundError(key)
        self._sync_directory()

    def find(self, key: str, now: datetime) -> Record | None:
        """Return what is known of a file that has not expired."""
        if not _KEY.fullmatch(key):
            return None
        try:
            with self._open(key, _RECORD, os.O_RDONLY) as file:
                record = _decode(file.read())
        except FileNotFoundError:
            return None
        return None if record.expires_at is not None and record.expires_at <= now else record

    def get(self, key: str, now: datetime) -> Record:
        """Return what is known of a file; raises StoredFileNotFoundError."""
        record = self.find(key, now)
        if record is None:
            raise StoredFileNotFoundError(key)
        return record

    def append(self, key: str, offset: int, data: bytes, now: datetime) -> None:
        """Write a piece of a file that was begun, and cut off what is behind."""
        if self.get(key, now).sha256 is not None:
            raise BatchJobError(f"the stored file {key!r} is finished: nothing can be written behind it")
        with self._open_data(key, os.O_RDWR) as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 <= offset <= size:
                raise BatchJobError(f"the stored file {key!r} has {size} bytes: nothing can be written at {offset}")
            file.truncate(offset)
            file.seek(offset)
            write_all(file, data)
            os.fsync(file.fileno())

    def finish(self, key: str, now: datetime) -> StoredFile:
        """Count and hash a file that was begun, and keep that it is whole."""
        record = self.get(key, now)
        if record.sha256 is None:
            with self._open_data(key, os.O_RDONLY) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                record = evolve(record, size=os.fstat(file.fileno()).st_size, sha256=digest)
            self.keep(key, record)
        return record.as_file(key)

    def open(self, key: str, offset: int, now: datetime) -> FileIO:
        """Open a file that is whole for reading."""
        if self.get(key, now).sha256 is None:
            raise StoredFileNotFoundError(key)
        if offset < 0:
            raise BatchJobError(f"nothing can be read at {offset}")
        file = self._open_data(key, os.O_RDONLY)
        file.seek(offset)
        return file

    def delete(self, key: str) -> bool:
        """Delete a file, or what there is of it."""
        if not _KEY.fullmatch(key):
            return False
        is_there = self._unlink(key, _RECORD)
        self._unlink(key, _DATA)
        # Again: who keeps it at the same time may have seen the data.
        return self._unlink(key, _RECORD) or is_there

    def remove_expired(self, now: datetime, abandoned_after: timedelta) -> int:
        """Delete what has expired, and what never became a file; what cannot be deleted keeps nothing else."""
        removed, fault = 0, None
        for path in sorted(self.directory.iterdir()):
            key, ending = path.name[:_KEY_LENGTH], path.name[_KEY_LENGTH:]
            if not _KEY.fullmatch(key):
                continue
            try:
                removed += self._remove_if_over(key, ending, now, now - abandoned_after)
            except (OSError, PayloadError) as exc:
                fault = exc if fault is None else fault
        if fault is not None:
            raise fault
        return removed

    def _remove_if_over(self, key: str, ending: str, now: datetime, abandoned_at: datetime) -> bool:
        """Delete one of the parts of a file, if it is over; return whether that was the last of the file."""
        if ending == _RECORD:
            return self.find(key, now) is None and self.delete(key)
        if ending == _DATA:
            return self._is_abandoned(key, ending, abandoned_at) and self._put_away(key)
        if ending == _AWAY:
            return self._finish_putting_away(key)
        if ending.endswith(_DRAFT) and self._is_older(key, ending, abandoned_at):
            self._unlink(key, ending)
        return False

    def _is_abandoned(self, key: str, ending: str, abandoned_at: datetime) -> bool:
        return not self._path(key, _RECORD).exists() and self._is_older(key, ending, abandoned_at)

    def _is_older(self, key: str, ending: str, than: datetime) -> bool:
        try:
            return self._path(key, ending).stat().st_mtime < than.timestamp()
        except FileNotFoundError:
            return False  # just deleted, or just kept

    def _put_away(self, key: str) -> bool:
        """Delete the data of an upload that nobody claims, unless it becomes a file in this moment."""
        try:
            self._path(key, _DATA).rename(self._path(key, _AWAY))
        except FileNotFoundError:
            return False
        return self._finish_putting_away(key)

    def _finish_putting_away(self, key: str) -> bool:
        # A writer that keeps it from now on sees that there is no data; one that did before has been told that it is
        # whole, and gets the data back.
        if not self._path(key, _RECORD).exists():
            return self._unlink(key, _AWAY)
        with suppress(FileNotFoundError):  # somebody else was there first
            self._path(key, _AWAY).rename(self._path(key, _DATA))
        return False

    def _unlink(self, key: str, ending: str) -> bool:
        try:
            self._path(key, ending).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, key: str, ending: str) -> Path:
        return self.directory / f"{key}{ending}"

    def _open_data(self, key: str, flags: int) -> FileIO:
        try:
            return self._open(key, _DATA, flags)
        except FileNotFoundError:  # it was deleted just now
            raise StoredFileNotFoundError(key) from None

    def _open(self, key: str, ending: str, flags: int) -> FileIO:
        descriptor = os.open(self._path(key, ending), flags | _NO_LINKS | _BINARY | os.O_CLOEXEC, _FILE_MODE)
        return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb", buffering=0)

    def _sync_directory(self) -> None:
        if os.name == "posix":  # elsewhere a directory cannot be opened
            descriptor = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_all(file: FileIO, data: bytes) -> None:
    """Write all of it: a system call may take less."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
