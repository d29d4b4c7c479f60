"""Many rows of a CSV file at once: those that are as they should be, which nearly all are."""

from __future__ import annotations

import csv
from itertools import accumulate
from typing import TYPE_CHECKING

from attrs import define

from conveyor.codec.tables.guard import unguard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.codec.tables.forms import TableFormat

__all__ = ["TableBlock", "parse_block"]


@define
class TableBlock:
    """Rows that follow each other, each with as many cells as there are columns.

    Attributes:
        number: of the last of them.
        cells: of each row.
        ends: for each row how many bytes of the file there are up to its end.
        raws: each row as it stands in the file, with the end of its line.
        lines: how many lines they take.
    """

    number: int
    cells: list[list[str]]
    ends: list[int]
    raws: list[str]
    lines: int


def parse_block(lines: Sequence[bytes], table: TableFormat, place: int, number: int) -> TableBlock | None:
    """Return the first rows of these lines, up to the one that needs a closer look; None: that is the first.

    Args:
        lines: whole lines, all of them together no longer than a cell may be.
        table: how the file is written; none of its columns is conveyor's own.
        place: where they begin, in bytes.
        number: of the row before.
    """
    data = b"".join(lines)
    try:
        texts = _decode(data, lines, table.encoding)
    except UnicodeDecodeError:
        return None
    ends = list(accumulate(map(len, lines), initial=place))
    cells, rows_end = _parse(texts, table.delimiter, has_quotes=b'"' in data)
    count = _count_whole(cells, len(table.columns))
    if not count:
        return None
    if count < len(cells):
        del cells[count:], rows_end[count:]
    if table.has_guard and b"'" in data:
        cells = [[unguard(cell) if cell[:1] == "'" else cell for cell in row] for row in cells]
    last = rows_end[-1]
    if last == count:
        return TableBlock(number + count, cells, ends[1 : count + 1], texts[:count], count)
    starts = (0, *rows_end)
    raws = ["".join(texts[start:end]) for start, end in zip(starts, rows_end, strict=False)]
    return TableBlock(number + count, cells, [ends[end] for end in rows_end], raws, last)


def _decode(data: bytes, lines: Sequence[bytes], encoding: str) -> list[str]:
    if encoding == "utf-8":
        texts = data.decode(encoding).splitlines(keepends=True)
        # Text has more kinds of ends of lines than bytes have: with as many lines, they are the same.
        if len(texts) == len(lines):
            return texts
    return [line.decode(encoding) for line in lines]


def _parse(texts: list[str], delimiter: str, *, has_quotes: bool) -> tuple[list[list[str]], list[int]]:
    """Return the cells of rows up to the first that is no CSV or not whole, and behind which line each row ends."""
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    if not has_quotes:
        try:
            cells = list(reader)
        except csv.Error:
            reader = csv.reader(texts, delimiter=delimiter, strict=True)
        else:
            return cells, list(range(1, len(cells) + 1))
    cells, ends = [], []
    try:
        for row in reader:
            cells.append(row)
            ends.append(reader.line_num)
    except csv.Error:
        pass  # whoever looks closer tells what is wrong
    return cells, ends


def _count_whole(cells: list[list[str]], columns: int) -> int:
    """Return how many rows from the first on have so many cells."""
    if set(map(len, cells)) <= {columns}:
        return len(cells)
    return next(at for at, row in enumerate(cells) if len(row) != columns)
