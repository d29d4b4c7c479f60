"""Reading ahead: a task of its own reads the next rows while a chunk is being committed, which needs no processor."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio

from conveyor._runtime.batches.rows.patience import Watch
from conveyor._runtime.lifecycle import lone_exceptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from conveyor._runtime.batches.rows.blocks import RowBlock, RowReader

__all__ = ["RowsAhead", "reading_ahead"]

RowT = TypeVar("RowT")


@asynccontextmanager
async def reading_ahead(
    opened: AbstractAsyncContextManager[RowReader[RowT]], seconds: float
) -> AsyncIterator[RowsAhead[RowT]]:
    """Read rows in a task that opens and closes their source, too: a source may have tasks and scopes of its own.

    What the source raises is raised where its rows are asked for, or at the end where closing it does. Where the block
    is left while rows are read, their reading is cancelled.

    Args:
        opened: opens the source.
        seconds: how long rows are waited for at once; those that are there by then are taken.
    """
    rows = RowsAhead(opened, seconds)
    async with lone_exceptions(), anyio.create_task_group() as tasks:
        tasks.start_soon(rows.read, name="conveyor row reader")
        try:
            yield rows
        finally:
            rows.end(tasks.cancel_scope)


class RowsAhead(Generic[RowT]):
    """The rows of a source, in order, in blocks."""

    def __init__(self, opened: AbstractAsyncContextManager[RowReader[RowT]], seconds: float) -> None:
        """Bind to a source; nothing is read yet."""
        self._opened: Final = opened
        self._seconds: Final = seconds
        self._most = 0
        self._is_wanted = anyio.Event()
        # Of the rows that were asked for last; None: all that was read is taken.
        self._is_read: anyio.Event | None = None
        self._block: RowBlock[RowT] | None = None
        self._error: Exception | None = None
        self._has_ended = False

    def begin(self, most: int) -> None:
        """Have at most so many rows read from the next turn of the event loop on, unless there are some already."""
        if self._is_read is None:
            self._most = most
            self._is_read = anyio.Event()
            self._is_wanted.set()

    async def take(self, most: int) -> RowBlock[RowT]:
        """Return at most so many of the next rows; none: there are no more.

        Raises:
            Exception: whatever the source raised.
        """
        while (block := self._block) is None:
            if self._error is not None:
                raise self._error
            self.begin(most)
            if self._is_read is not None:
                await self._is_read.wait()
        if len(block) > most:
            self._block = block.part(most)
            return block.part(0, most)
        self._block = self._is_read = None
        return block

    async def read(self) -> None:
        """Read whenever somebody asks for rows, until `end`."""
        try:
            async with self._opened as rows:
                while await self._is_asked():
                    self._block = await rows.take(self._most, Watch(self._seconds))
                    self._tell_read()
        except Exception as exc:
            if self._has_ended:
                raise  # of closing: nobody asks any more
            self._error = exc
            self._tell_read()

    def end(self, scope: anyio.CancelScope) -> None:
        """Have the source closed; where rows are being read, that is cancelled."""
        self._has_ended = True
        # It was raised by now, and its traceback leads here: such a ring would live until the garbage is collected.
        self._error = None
        self._is_wanted.set()
        if self._is_read is not None and not self._is_read.is_set():
            scope.cancel()

    async def _is_asked(self) -> bool:
        await self._is_wanted.wait()
        self._is_wanted = anyio.Event()
        return not self._has_ended

    def _tell_read(self) -> None:
        if self._is_read is not None:
            self._is_read.set()
