"""RowMaker: rows of a file to instances of a class, a column at a time; it says that some row is bad, and not which."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from conveyor.codec.tables.cells import make_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor.codec.tables.layout import LayoutColumn

__all__ = ["RowMaker"]

RowT = TypeVar("RowT")

# attrs types it as a function.
_FACTORY: Final[type] = attrs.Factory  # type: ignore[assignment] # it is the class
_TEXT: Final = make_parser(str, "text")
_WHOLE: Final = make_parser(int, "whole numbers")


class RowMaker(Generic[RowT]):
    """Makes rows of cells that stand in these columns: in the time of a loop that was written for the class."""

    def __init__(self, make: Callable[..., RowT], columns: Sequence[LayoutColumn]) -> None:
        """Prepare once for a class and a header."""
        self._make = make
        self._columns = columns
        self._names = [column.name for column in columns]
        self._order = _order(make, self._names)

    def make(self, rows: Sequence[Sequence[str]], *, has_comma: bool) -> list[RowT]:
        """Return an instance for each row, which has a cell for each column.

        Raises:
            Exception: whatever a cell, a converter or a validator of some row is refused with.
        """
        values = [
            _read_column(column, cells, has_comma=has_comma)
            for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        if self._order is None:
            names = self._names
            return [self._make(**dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]
        return list(map(self._make, *[values[at] for at in self._order]))


def _order(make: Callable[..., Any], names: Sequence[str]) -> Sequence[int] | None:
    """Return the order in which columns are given by position; None: they must be given by name."""
    parameters = inspect.signature(make).parameters.values()
    first = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    first = first[: len(names)]
    return [names.index(name) for name in first] if set(first) == set(names) else None


def _read_column(column: LayoutColumn, cells: Sequence[str], *, has_comma: bool) -> Sequence[Any]:
    parse, choices = column.parse, column.described.choices
    if "" in cells or (column.contents and parse is not _WHOLE and any(map(str.isspace, cells))):
        return _read_gaps(column, cells, has_comma=has_comma)
    if choices and not set(choices).issuperset(cells):
        raise ValueError(f"{column.name}: not a choice")
    if parse is None or parse is _TEXT:
        return cells
    if parse is _WHOLE:
        text = ",".join(cells)
        # Where there is neither of these, Python reads what the parser does, and refuses the rest.
        if text.isascii() and "_" not in text:
            return list(map(int, cells))
    return [parse(cell, has_comma) for cell in cells]


def _read_gaps(column: LayoutColumn, cells: Sequence[str], *, has_comma: bool) -> Sequence[Any]:
    """Read a column with empty cells, where these stand for one value."""
    default = None if column.is_optional else column.field.default
    if column.is_required or isinstance(default, _FACTORY):
        raise ValueError(f"{column.name}: an empty cell")
    filled = [cell for cell in cells if cell and not (column.contents and cell.isspace())]
    read = iter(_read_column(column, filled, has_comma=has_comma)) if filled else iter(())
    return [default if not cell or (column.contents and cell.isspace()) else next(read) for cell in cells]
