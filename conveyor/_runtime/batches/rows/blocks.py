"""Rows as they are read and worked on: many at once, since what is done for each of a hundred thousand counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._runtime.batches.rows.patience import Watch
    from conveyor.model.batches.rows import SourceRow
    from conveyor.model.batches.values import RowError

__all__ = ["RowBlock", "RowReader"]

RowT = TypeVar("RowT")


@define
class RowBlock(Generic[RowT]):
    """Some rows of a source, in order; the lists have one item for each.

    Attributes:
        tell: makes a row's `SourceRow` of its number, its row and its place; few are ever asked for.
        numbers: see `SourceRow.number`.
        rows: see `SourceRow.row`.
        places: whatever `tell` needs to know of each.
        errors: why rows are bad, by number.
    """

    tell: Callable[[int, RowT | None, Any], SourceRow[RowT]]
    numbers: list[int] = field(factory=list)
    rows: list[RowT | None] = field(factory=list)
    places: list[Any] = field(factory=list)
    errors: dict[int, RowError] = field(factory=dict)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    def at(self, index: int) -> SourceRow[RowT]:
        """Return one of them."""
        number = self.numbers[index]
        row = self.tell(number, self.rows[index], self.places[index])
        row.error = self.errors.get(number)
        return row

    def part(self, start: int, stop: int | None = None) -> RowBlock[RowT]:
        """Return some of them."""
        which = slice(start, stop)
        return RowBlock(self.tell, self.numbers[which], self.rows[which], self.places[which], self.errors)

    def add(self, row: SourceRow[RowT], place: Any) -> None:
        """Add a row."""
        self.numbers.append(row.number)
        self.rows.append(row.row)
        self.places.append(place)
        if row.error is not None:
            self.errors[row.number] = row.error


class RowReader(Protocol[RowT]):
    """Reads a source."""

    async def take(self, most: int, watch: Watch, /) -> RowBlock[RowT]:
        """Return at most so many of the next rows, fewer where the time is over before; none: there are no more.

        Raises:
            BadFileError: the file is no table from here on; see `open_file_rows`.
        """
        ...
