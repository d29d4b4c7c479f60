"""Rows that are taken many at once are those that are read one by one, with the same errors in the same places."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec.tables import RowLayout, TableBlock, TableForm, TableLimits, TableReader
from conveyor.errors import BadFileError, BadRowError
from tests.codec.tables.classes import Everything, Product
from tests.codec.tables.feeding import blocks_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conveyor.codec.tables import TableRow

HEADER = "sku,name,price,tags,state,stock"
LAYOUT = RowLayout(Product)
SMALL = TableLimits(row_bytes=120, field_length=60)

GOOD_CELLS = (
    st.sampled_from(["A-1", "b2", "'=x", "'plain", 'a "b"', "two\nlines", "ü\x85", "a,b"]),
    st.sampled_from(["Anvil", "Büchse", "it's", "'-1"]),
    st.sampled_from(["12.50", " 3 ", "1e2", "+7"]),
    st.sampled_from(["", "a|b", "c"]),
    st.sampled_from(["new", "old", ""]),
    st.sampled_from(["", " ", "7", " -8 ", "+9", "0010"]),
)
ANY_CELLS = st.sampled_from(
    ["", " ", "A-1", "Anvil", "x" * 21, "0", "-1", "12,5", "1_000", "١٢", "nan", "neither", "x" * 70, "9" * 5000]
)


def written(cells: tuple[str, ...], quote_all: bool) -> str:
    """Return a row as spreadsheets write it."""
    nasty = set('"\r\n,')
    return ",".join('"' + cell.replace('"', '""') + '"' if quote_all or nasty & set(cell) else cell for cell in cells)


GOOD_ROWS = st.builds(written, st.tuples(*GOOD_CELLS), st.booleans())
BAD_ROWS = st.builds(written, st.tuples(*[ANY_CELLS] * 6), st.booleans()) | st.sampled_from(
    [
        "",
        ",,,,,",
        "A-1,Anvil,1",
        "A-1,Anvil,1,,new,1,,",
        "A-1,Anvil,1,,new,1,2",
        '"A"-1,Anvil,1,,new,1',
        'A-1,"Anvil',
        "\x00",
    ]
)
FILES = st.lists(GOOD_ROWS | GOOD_ROWS | GOOD_ROWS | BAD_ROWS, min_size=1, max_size=40)


def told(reader: TableReader, row: TableRow) -> Any:
    """Return what is known of a row: its number, what was made of it, how it stands there, where the next begins."""
    try:
        made: object = LAYOUT.read(row, has_comma=reader.has_comma)
    except BadRowError as exc:
        made = (exc.code, exc.message, exc.column)
    return row.number, made, row.raw, reader.cursor_after(row)


def all_told(reader: TableReader, block: TableBlock) -> list[Any]:
    """Return the same of the rows of a block."""
    assert reader.format is not None
    read = LAYOUT.read_many(reader.format.columns, block.cells, has_comma=reader.has_comma)
    numbers = range(block.number - len(read) + 1, block.number + 1)
    made = [(row.code, row.message, row.column) if isinstance(row, BadRowError) else row for row in read]
    cursors = [reader.cursor_at(end, number) for end, number in zip(block.ends, numbers, strict=True)]
    return list(zip(numbers, made, [raw.rstrip("\r\n") for raw in block.raws], cursors, strict=True))


def one_by_one(reader: TableReader, data: bytes, size: int) -> tuple[list[Any], str]:
    """Return what is known of each row, and why there are no more."""
    found: list[Any] = []
    try:
        for row in rows_of(reader, blocks_of(data, size)):
            found.append(told(reader, row))  # noqa: PERF401 - what came before an error counts
    except BadFileError as exc:
        return found, str(exc)
    return found, ""


def many_at_once(reader: TableReader, data: bytes, size: int, most: int = 500) -> tuple[list[Any], str]:
    """Return the same of rows that are taken."""
    found: list[Any] = []
    try:
        for block in blocks_of(data, size):
            reader.add(block)
            for row in taken(reader, most):
                found.append(row)  # noqa: PERF402 - what came before an error counts
        reader.end()
        for row in taken(reader, most):
            found.append(row)  # noqa: PERF402 - as above
    except BadFileError as exc:
        return found, str(exc)
    return found, ""


def taken(reader: TableReader, most: int) -> Iterator[Any]:
    """Yield what is known of each row that there is by now."""
    while (rows := reader.take(most)) is not None:
        if isinstance(rows, TableBlock):
            assert len(rows.cells) <= most
            yield from all_told(reader, rows)
        else:
            yield told(reader, rows)


@frozen
class Way:
    """How a file is written and read."""

    end: str
    encoding: str
    size: int
    most: int
    limits: TableLimits


WAYS = st.builds(
    Way,
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16-le"]),
    size=st.sampled_from([1, 7, 64, 1 << 16]),
    most=st.sampled_from([1, 5, 500]),
    limits=st.sampled_from([TableLimits(), SMALL]),
)


@given(FILES, WAYS)
def test_they_are_the_same(rows: list[str], way: Way) -> None:
    data = way.end.join([HEADER, *rows]).encode(way.encoding, "replace")

    def reader() -> TableReader:
        return TableReader(layout=LAYOUT, encoding=way.encoding, limits=way.limits)

    assert many_at_once(reader(), data, way.size, way.most) == one_by_one(reader(), data, way.size)


def test_most_rows_come_many_at_once() -> None:
    rows = [f"A-{number},Anvil,1.5,,new," for number in range(2000)]
    rows[1200] = "A,Anvil"
    reader = TableReader(layout=LAYOUT)
    reader.add("\n".join([HEADER, *rows, ""]).encode())
    sizes: list[int] = []
    while (taken := reader.take(500)) is not None:
        sizes.append(len(taken.cells) if isinstance(taken, TableBlock) else 1)
    assert sum(sizes) == 2000
    assert max(sizes) == 500
    assert len(sizes) < 30


@pytest.mark.parametrize("data", [b"", b"\n\n", HEADER.encode(), HEADER.encode() + b"\n,\xff\n"])
@pytest.mark.parametrize("size", [1, 100])
def test_a_file_without_rows_is_refused_in_the_same_words(data: bytes, size: int) -> None:
    found, fault = many_at_once(TableReader(layout=LAYOUT), data, size)
    assert (found, fault) == one_by_one(TableReader(layout=LAYOUT), data, size)
    assert fault


@given(st.lists(st.sampled_from(['{"a": 1}', '{"b": "x"}', "", "oops", "[]"]), min_size=1), st.sampled_from([1, 9, 99]))
def test_lines_of_json_are_taken_too(lines: list[str], size: int) -> None:
    data = "\n".join(lines).encode()
    found = many_at_once(TableReader(TableForm.JSONL), data, size)
    assert found == one_by_one(TableReader(TableForm.JSONL), data, size)


def test_every_kind_of_column_is_read_as_one_by_one() -> None:
    layout = RowLayout(Everything)
    names = ("whole", "text", "maybe", "note", "price", "colour", "kind", "day", "is_new")
    rows = [
        ["1", "a", "", "", "1.5", "red", "a", "2026-01-31", "yes"],
        ["-2", "", "3", "n", "", "blue", " ", "", "0"],
        [" ", "b", " ", "m", "2", "", "3", "2026-02-01", ""],
    ]
    by_name: list[Any] = layout.read_many(names, rows)
    assert [(row.whole, row.text, row.maybe, row.note, row.price) for row in by_name] == [
        (1, "a", None, None, Decimal("1.5")),
        (-2, "", 3, "n", Decimal(0)),
        (0, "b", None, "m", Decimal(2)),
    ]
    assert [layout._read_one(names, row, has_comma=False) for row in rows] == by_name
