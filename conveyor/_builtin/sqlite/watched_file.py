"""Which file the store has open, and whether its path still leads there: an operator may delete or replace it.

SQLite does not notice: it goes on writing into the file that has no name any more, and every answer would be a lie.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["WatchedFile"]

# The write-ahead log and its index; they belong to the file they were made for, and would spoil another.
_COMPANIONS: Final = ("-wal", "-shm")

_Identity = tuple[int, int]


class WatchedFile:
    """A database file in use. `check` and `generation` may be asked on any thread, the rest is the writer thread's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self._opened: _Identity | None = None
        self._companions: Mapping[Path, _Identity] = {}
        self.on_doubt: Callable[[], None] = lambda: None

    @property
    def is_in_place(self) -> bool:
        """Whether the path leads to the file that was opened."""
        return self._opened is not None and _identity(self.path) == self._opened

    def check(self) -> None:
        """Say whether the file may be used, and wake who can open it anew.

        Raises:
            StoreUnavailableError: it is not the one that was opened.
        """
        if not self.is_in_place:
            self.on_doubt()
            raise self.not_in_place()

    def not_in_place(self) -> StoreUnavailableError:
        """Return the error for those who want to use the file while it is not there."""
        shown = f"SQLite file {str(self.path)!r}"
        if _identity(self.path) is None:
            return StoreUnavailableError(
                f"{shown} was deleted or moved while it was in use: put it back, or make a new one with "
                "conveyor store migrate"
            )
        return StoreUnavailableError(
            f"{shown} was replaced while it was in use: nothing was written to the new one yet; try again"
        )

    def note_opened(self) -> None:
        """Note that connections are made to the file at the path from now on."""
        self._opened = _identity(self.path)
        self._companions = {}
        self.generation += 1

    def note_used(self) -> None:
        """Note which companions the file has, now that it was written to."""
        if not self._companions:
            found = {path: _identity(path) for path in self._companion_paths()}
            self._companions = {path: identity for path, identity in found.items() if identity is not None}

    def note_left(self) -> None:
        """Note that the file is used no more, and take away what it left beside the path."""
        self._opened = None
        self.generation += 1
        for path, identity in self._companions.items():
            if _identity(path) == identity:
                with suppress(OSError):
                    path.unlink()
        self._companions = {}

    def _companion_paths(self) -> list[Path]:
        return [self.path.with_name(self.path.name + suffix) for suffix in _COMPANIONS]


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
