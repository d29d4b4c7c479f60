"""How many rows are worked on together, and which of them are tried again when some fail."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FIRST_CHUNK_SIZE", "Pieces", "next_chunk_size"]

# A chunk that takes too long is thrown away where its transaction may take only so long; so begin with a small one.
FIRST_CHUNK_SIZE: Final = 16


def next_chunk_size(handled: int, seconds: float, *, size: int, most: int, wanted_seconds: float) -> int:
    """Return how many rows the next chunk should have, from how long the one before took.

    It at most doubles, and at least halves: one slow chunk says little of the next.

    >>> next_chunk_size(16, 0.1, size=16, most=500, wanted_seconds=1.0)
    32

    Args:
        handled: how many rows the chunk before had.
        seconds: how long it took.
        size: how many rows it might have had.
        most: never more than this.
        wanted_seconds: how long a chunk should take.
    """
    if handled * wanted_seconds >= 2 * size * seconds:
        return min(most, 2 * size)
    return max(1, min(most, max(size // 2, int(handled * wanted_seconds / seconds))))


@define
class Pieces:
    """The parts of a chunk that are still to be tried, in the order of its rows.

    Where a piece fails as a whole, its halves are tried, until each row that makes one fail is alone. With n rows, k of
    which fail, that takes at most ``2 k log2(n) + 1`` tries.
    """

    count: int
    _open: deque[range] = field(init=False, factory=deque)

    def __attrs_post_init__(self) -> None:
        """Begin with the whole."""
        self.put_back(range(self.count))

    def take(self) -> range | None:
        """Return the next piece, or None."""
        return self._open.popleft() if self._open else None

    def divide(self, piece: range, at: int | None = None) -> None:
        """Put back a piece that failed, in parts.

        Args:
            piece: what failed; more than one row.
            at: which row made it fail, where that is known.
        """
        parts = _halves(piece) if at is None else _around(piece, at)
        self._open.extendleft(reversed([part for part in parts if part]))

    def put_back(self, piece: range) -> None:
        """Put back what is left of a piece."""
        if piece:
            self._open.appendleft(piece)

    def cut(self, end: int) -> None:
        """Forget all rows from this one on."""
        kept = [range(piece.start, min(piece.stop, end)) for piece in self._open]
        self._open = deque(piece for piece in kept if piece)


def _halves(piece: range) -> Iterator[range]:
    middle = piece.start + len(piece) // 2
    yield range(piece.start, middle)
    yield range(middle, piece.stop)


def _around(piece: range, at: int) -> Iterator[range]:
    yield range(piece.start, at)
    yield range(at, at + 1)
    yield range(at + 1, piece.stop)
