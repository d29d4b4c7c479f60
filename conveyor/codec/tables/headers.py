"""The header of a CSV file: what its cells are parted by, and what is wrong with it before any row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor.codec.tables.guard import unguard
from conveyor.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.codec.tables.forms import TableLimits
    from conveyor.codec.tables.layout import RowLayout

__all__ = ["check_header", "choose_delimiter"]


def choose_delimiter(found: Mapping[str, Sequence[str]], layout: RowLayout[Any] | None) -> str:
    """Return the delimiter that makes most known columns of a header, then most columns, then the first.

    Args:
        found: the cells by delimiter.
        layout: which columns are known.
    """

    def rank(delimiter: str) -> tuple[int, int]:
        cells = found[delimiter]
        return (0 if layout is None else layout.count_known(cells)), len(cells)

    return max(found, key=rank)


def check_header(
    cells: Sequence[str], layout: RowLayout[Any] | None, limits: TableLimits, *, has_guard: bool
) -> tuple[str, ...]:
    """Return the columns of a header.

    Raises:
        BadFileError: two columns have one name, or one has none, or there are too many; or they are not the layout's.
    """
    if any("\0" in cell for cell in cells):
        raise BadFileError(
            "wrong_encoding", "the header is no text: is it UTF-16, or no table at all? save it as UTF-8"
        )
    names = [(unguard(cell) if has_guard else cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()  # spreadsheets put empty cells behind the last column
    if len(names) > limits.columns:
        raise BadFileError("too_many_columns", f"it has {len(names)} columns; at most {limits.columns} are read")
    if "" in names:
        raise BadFileError("unnamed_column", f"column {names.index('') + 1} has no name")
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise BadFileError("duplicate_column", f"there are two columns {twice!r}")
    if layout is not None:
        layout.check_columns(names)
    return tuple(names)
