"""FileStorage: where the files of batch jobs are: what is uploaded, and what exports write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from conveyor.contracts.strategy import Injector
    from conveyor.model.stored_files import StoredFile

__all__ = ["FileStorage"]


@runtime_checkable
class FileStorage(Protocol):
    """Keeps files as streams: never more than a few blocks of one are in memory. It is also an `InjectableStrategy`.

    A file is there from the moment on in which it is whole, and does not change any more; until then nobody can find
    or read it. What was acknowledged survives the death of the process.

    All methods raise `StoreUnavailableError` where the storage cannot be used at the moment: it is full, say. Then
    nothing is half-done: the call can be repeated.
    """

    async def init(self, injector: Injector, /) -> None:
        """Open; see `InjectableStrategy.init`."""
        ...

    async def destroy(self) -> None:
        """Close; see `InjectableStrategy.destroy`."""
        ...

    async def write(
        self, name: str, chunks: AsyncIterable[bytes], /, *, media_type: str, expires_in: timedelta | None = None
    ) -> StoredFile:
        """Keep a new file, and return it once it is whole.

        The next chunk is asked for when the one before is written. Where the chunks raise, or the caller is
        cancelled, nothing is kept.

        Args:
            name: what people call it; several may have one name. A path in front is left out.
            chunks: its bytes.
            media_type: such as "text/csv".
            expires_in: how long it is there; None: until it is deleted.

        Raises:
            BatchJobError: the name or the media type is none, or it would expire at once.
        """
        ...

    async def begin(self, name: str, /, *, media_type: str, expires_in: timedelta | None = None) -> str:
        """Begin a file that is written piece by piece, by several runs maybe, and return its key.

        Raises:
            BatchJobError: as for `write`.
        """
        ...

    async def append(self, key: str, offset: int, data: bytes, /) -> None:
        """Write a piece of a file that was begun; it is durable on return.

        Whatever the file has beyond the offset is cut off first: so a run that goes on at its cursor, where the size
        of the file stood, writes the file that an uninterrupted one would have written. One run at a time may write.

        Raises:
            StoredFileNotFoundError: no such file was begun, or it has expired.
            BatchJobError: it is finished, or shorter than the offset.
        """
        ...

    async def finish(self, key: str, /) -> StoredFile:
        """Say that a file that was begun is whole, and return it; again, too.

        Raises:
            StoredFileNotFoundError: no such file was begun, or it has expired.
        """
        ...

    def read(self, key: str, offset: int = 0, /) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a file to read it from an offset on, in blocks of the storage's choice; behind its end there are none.

        A reader that has it open reads to the end also where it is deleted meanwhile.

        Raises:
            StoredFileNotFoundError: on entering: there is no such file, or it is not whole, or it has expired.
        """
        ...

    async def find(self, key: str, /) -> StoredFile | None:
        """Return a file, or None where there is none, or it is not whole, or has expired."""
        ...

    async def delete(self, key: str, /) -> bool:
        """Delete a file, whole or not, and return whether there was one."""
        ...

    async def remove_expired(self) -> int:
        """Delete the files that have expired, and what writers that died left behind; return how many there were."""
        ...
