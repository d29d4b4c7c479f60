"""Aligned columns, as wide as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

__all__ = ["make_table", "printable"]

_GAP: Final = 2
_LEAST: Final = 4
# People copy what stands under these.
_WHOLE: Final = frozenset({"group", "id"})
# Cells that say that there is nothing.
_NOTHING: Final = frozenset({"", "0", "-"})


def make_table(titles: Sequence[str], rows: Iterable[Sequence[object]], width: int) -> Table:
    """Return a table of rows under titles that fits a width, as well as it can.

    Where there is no room for all, columns with nothing in them give way first, then half of the gaps between them;
    then texts go on in the next line, but no figure and no id.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    columns = [[title, *(row[index] for row in cells)] for index, title in enumerate(titles)]
    if _total(map(_longest, columns), _GAP) > width:
        columns = [column for column in columns if not _NOTHING.issuperset(column[1:])] or columns[:1]
    gap = _GAP if _total(map(_longest, columns), _GAP) <= width else 1
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, gap, 0, 0))
    for (title, *_), chosen in zip(columns, _widths(columns, gap, width), strict=True):
        table.add_column(Text(title, overflow="fold"), width=chosen)
    for row in zip(*(below for _, *below in columns), strict=True):
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    return table


def _widths(columns: Sequence[Sequence[str]], gap: int, width: int) -> list[int]:
    """Return how wide each column is: the widest that may be folded becomes narrower until all fit, or none is left."""
    widths = [_longest(column) for column in columns]
    least = [
        _longest(below) if title in _WHOLE or _are_figures(below) else min(_LEAST, _longest(below))
        for title, *below in columns
    ]
    while _total(widths, gap) > width:
        spare = [have - need for have, need in zip(widths, least, strict=True)]
        if max(spare) <= 0:
            break
        foldable = [index for index, room in enumerate(spare) if room > 0]
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _longest(cells: Iterable[str]) -> int:
    return max((len(line) for cell in cells for line in cell.split("\n")), default=0) or 1


def _total(widths: Iterable[int], gap: int) -> int:
    each = list(widths)
    return sum(each) + gap * (len(each) - 1)


def _are_figures(cells: Iterable[str]) -> bool:
    """Whether all begin with a digit, or are nothing: counts, times, sizes. In a next line they could not be read."""
    return all(cell in _NOTHING or (cell[:1].isdigit() and " " not in cell) for cell in cells)


def printable(text: str) -> str:
    """Return the text without what a terminal would obey."""
    # What a job carries may come from anybody, and must not steer the terminal of who looks at it.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)
