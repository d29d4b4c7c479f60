"""What is written is read back as it was: every type, delimiter and nasty text; and spreadsheets run nothing."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec.tables import ErrorFileWriter, RowLayout, TableForm, TableReader, TableWriter
from conveyor.codec.tables.guard import guard, unguard
from conveyor.errors import BadFileError, PayloadError
from conveyor.model.batches.values import RowError, RowFault
from tests.codec.tables.classes import Colour, Everything, Product, Size
from tests.codec.tables.feeding import read_all, values_of

LAYOUT = RowLayout(Everything)
# All but halves of characters, which no encoding has.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    "'=+-@\t\r\n\",;a1\x85\u2028\ufeff", max_size=6
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.builds(
    Everything,
    text=TEXTS,
    whole=st.integers(),
    ratio=FLOATS,
    price=st.decimals(allow_nan=False, allow_infinity=False),
    is_new=st.booleans(),
    day=st.dates(),
    at=st.datetimes() | st.datetimes(timezones=st.timezones()).map(lambda at: at.astimezone(at.tzinfo)),
    id=st.uuids(),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(Size),
    kind=st.sampled_from(["a", "b", 3]),
    maybe=st.none() | st.integers(),
    note=st.none() | TEXTS.filter(bool),
)
SHAPES = st.sampled_from(
    [(TableForm.CSV, ","), (TableForm.CSV, ";"), (TableForm.CSV, "\t"), (TableForm.JSONL, ",")]
)  # fmt: skip
ENCODINGS = st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"])


def as_written(row: Everything) -> tuple[Any, ...]:
    # Files have the offset of a time and not the name of its zone.
    return (
        *(getattr(row, name) for name in LAYOUT.names if name not in ("at", "price")),
        row.at.isoformat(),
        str(row.price),
    )


@given(st.lists(ROWS, min_size=1, max_size=5), SHAPES, ENCODINGS, st.booleans(), st.sampled_from([1, 3, 1 << 16]))
def test_rows_come_back_as_they_were(
    rows: list[Everything], shape: tuple[TableForm, str], encoding: str, has_guard: bool, size: int
) -> None:
    form, delimiter = shape
    writer = TableWriter(LAYOUT.names, form, encoding=encoding, delimiter=delimiter, has_guard=has_guard)
    data = writer.header(has_mark=True) + writer.rows(LAYOUT.values_of(row) for row in rows)
    reader = TableReader(form, layout=LAYOUT, has_guard=has_guard)
    read = read_all(reader, data, size)
    assert [as_written(LAYOUT.read(row, has_comma=reader.has_comma)) for row in read] == [
        as_written(row) for row in rows
    ]
    for at, row in enumerate(read):
        cursor = reader.cursor_after(row)
        assert read_all(TableReader.resume(cursor, layout=LAYOUT), data[row.end :], size) == read[at + 1 :]


@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_texts_come_back_as_they_were(rows: list[list[str]], delimiter: str) -> None:
    columns = ["a", "b", "c"]
    writer = TableWriter(columns, delimiter=delimiter)
    given_rows = [dict(zip(columns, cells, strict=True)) for cells in rows]
    data = writer.header() + writer.rows(given_rows)
    assert values_of(read_all(TableReader(), data)) == given_rows
    assert values_of(read_all(TableReader(), data, 1)) == given_rows


@given(TEXTS)
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    written = guard(text)
    assert unguard(written) == text
    if written[:1] in tuple("=+-@\t\r\n"):
        float(written.replace(",", "").replace(".", ""))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+2", "'=1+2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-5", "-5"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-1,50", "-1,50"),
        ("-1e5", "-1e5"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("\t=1", "'\t=1"),
        ("'=1", "''=1"),
        ("'tis", "'tis"),
        ("", ""),
        ("plain", "plain"),
    ],
)
def test_formulas_get_an_apostrophe_and_numbers_do_not(text: str, written: str) -> None:
    assert guard(text) == written
    assert unguard(written) == text


def test_the_guard_can_be_left_out() -> None:
    writer = TableWriter(["a"], has_guard=False)
    assert writer.rows([{"a": "=1"}]) == b"=1\r\n"
    assert values_of(read_all(TableReader(has_guard=False), b"a\n'=1\n")) == [{"a": "'=1"}]


def test_what_no_cell_can_hold_is_refused() -> None:
    for form in TableForm:
        with pytest.raises(PayloadError):
            TableWriter(["a"], form).rows([{"a": float("nan")}])
    with pytest.raises(PayloadError):
        TableWriter(["a"]).rows([{"a": object()}])
    with pytest.raises(BadFileError, match="wrong_encoding"):
        TableWriter(["a"], encoding="latin-1").rows([{"a": "→"}])


SOURCE = "sku;name;preis\na;Anvil;x\n=b;B\nc;C;3;4\n"


def error_file(reader: TableReader, data: bytes) -> bytes:
    rows = read_all(reader, data)
    assert reader.format is not None
    writer = ErrorFileWriter(reader.format)
    errors = [RowError(row.number, "bad", "mend=it", "preis", row.raw) for row in rows]
    return writer.header() + writer.rows(errors)


def test_an_error_file_is_the_original_with_reasons_and_is_accepted_back() -> None:
    layout = RowLayout(Product)
    data = error_file(TableReader(layout=layout), SOURCE.encode())
    lines = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=";"))
    assert lines[0] == ["sku", "name", "preis", "error_row", "error_code", "error_column", "error_message"]
    assert lines[1] == ["a", "Anvil", "x", "1", "bad", "preis", "mend=it"]
    assert lines[2][:3] == ["'=b", "B", ""]
    assert lines[3][:3] == ["c", "C", "3;4"]
    again = read_all(TableReader(layout=layout), data)
    assert values_of(again)[1] == {"sku": "=b", "name": "B", "preis": ""}
    mended = data.replace(b";x;", b";1,5;")
    reader = TableReader(layout=layout)
    first = read_all(reader, mended)[0]
    assert layout.read(first, has_comma=reader.has_comma).price == Decimal("1.5")
    assert error_file(TableReader(layout=layout), data).count(b"error_row") == 1


@pytest.mark.parametrize("form", TableForm)
def test_an_error_file_tells_all_that_is_wrong_about_a_row(form: TableForm) -> None:
    source = b"a;b\n1;2\n" if form is TableForm.CSV else b'{"a": 1, "b": 2}\n'
    reader = TableReader(form)
    (row,) = read_all(reader, source)
    assert reader.format is not None
    also = (RowFault("missing_value", "is empty", "b"), RowFault("refused", "never"))
    writer = ErrorFileWriter(reader.format)
    data = writer.header() + writer.rows([RowError(1, "invalid_value", "no number", "a", row.raw, also)])
    told = ("invalid_value; missing_value; refused", "a; b; ", "column 'a': no number; column 'b': is empty; never")
    if form is TableForm.JSONL:
        values = json.loads(data)
        assert tuple(values[name] for name in ("error_code", "error_column", "error_message")) == told
    else:
        assert next(reversed(list(csv.reader(io.StringIO(data.decode()), delimiter=";"))))[3:] == list(told)
    assert values_of(read_all(TableReader(form), data)) == values_of([row])


def test_a_row_that_is_no_csv_stands_in_the_first_cell_of_an_error_file() -> None:
    data = error_file(TableReader(), b'a,b\n"x"y,1\n')
    assert values_of(read_all(TableReader(), data)) == [{"a": '"x"y,1', "b": ""}]


def test_an_error_file_of_json_lines_keeps_what_stood_there() -> None:
    data = error_file(TableReader(TableForm.JSONL), b'{"a": 1.10, "b": [1]}\n{oops\n')
    first, second = read_all(TableReader(TableForm.JSONL), data)
    assert dict(first.values) == {"a": "1.10", "b": [1]}
    assert dict(second.values) == {"error_raw": "{oops"}
    assert b'"error_message":"mend=it"' in data
