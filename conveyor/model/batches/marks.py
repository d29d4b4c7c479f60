"""Where a source can be divided: places noted while it is read once, so that no row is cut, whatever is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.batches.rows import SourceRow

__all__ = ["RowMarks"]

# At least so many places are kept for each part, where it has as many rows, and at most twice as many: so no part ends
# further from where it should than a sixtieth of its rows.
MARKS_PER_PART: Final = 32


@frozen
class _Mark:
    """A place after a row: how many rows were read until there, the number of the last, and its cursor."""

    count: int
    number: int
    cursor: Any


@define
class RowMarks:
    """Notes places after rows, evenly spread, in bounded memory, though nobody knows how many rows will come.

    Attributes:
        parts: how many parts there should be.
    """

    parts: int
    _marks: list[_Mark] = field(init=False, factory=list)
    _stride: int = field(init=False, default=1)
    _count: int = field(init=False, default=0)
    _last: SourceRow[Any] | None = field(init=False, default=None)

    def add(self, rows: int, at: Callable[[int], SourceRow[Any]]) -> None:
        """Take notice of the next rows.

        Args:
            rows: how many there are; one at least.
            at: returns one of them, counted from 0; few are asked for.
        """
        before, self._count = self._count, self._count + rows
        count = before + self._stride - before % self._stride
        while count <= self._count:
            row = at(count - before - 1)
            self._marks.append(_Mark(count, row.number, row.cursor))
            if len(self._marks) > 2 * MARKS_PER_PART * self.parts:
                self._stride *= 2
                self._marks = [mark for mark in self._marks if mark.count % self._stride == 0]
            count += self._stride - count % self._stride
        self._last = at(rows - 1)

    def spans(self, *, least: int) -> list[dict[str, Any]]:
        """Return what belongs to each part; nothing where there are too few rows to divide.

        Args:
            least: a part has so many rows, or more; those that are left over make none of their own.

        Returns:
            For each part the place that it begins ``after`` (None: the beginning), the number of its ``last`` row, and
            the place after that, ``until``.
        """
        parts = min(self.parts, self._count // least)
        if parts < 2 or self._last is None:
            return []
        ends = [self._nearest(part * self._count / parts) for part in range(1, parts)]
        ends.append(_Mark(self._count, self._last.number, self._last.cursor))
        places = [None, *(end.cursor for end in ends)]
        return [
            {"after": after, "last": end.number, "until": end.cursor} for after, end in zip(places, ends, strict=False)
        ]

    def _nearest(self, count: float) -> _Mark:
        return min(self._marks, key=lambda mark: abs(mark.count - count))
