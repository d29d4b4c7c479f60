"""Reading tables: rows, their places, and each way in which a file or a row can be wrong."""

from __future__ import annotations

import codecs
import csv

import pytest

from conveyor.codec.tables import RowLayout, TableForm, TableLimits, TableReader, TableRow, TableWriter
from conveyor.errors import BadFileError, BatchJobError
from tests.codec.tables.classes import Product
from tests.codec.tables.feeding import blocks_of, read_all, read_csv, rows_of, values_of

PLAIN = "name,price\nAnvil,3\nBolt,1\n"
AS_READ = [{"name": "Anvil", "price": "3"}, {"name": "Bolt", "price": "1"}]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "\n\n" + PLAIN.replace("\n", "\n\n"),
        'name,"price"\n"Anvil",3\nBolt,"1"',
        " name , price \nAnvil,3\nBolt,1",
        "name,price,,\nAnvil,3,,\nBolt,1,,",
        "name *;price *\nAnvil;3\nBolt;1".replace(" *", ""),
        '"name";"price"\n"Anvil";"3"\n"Bolt";"1"',
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 16])
def test_the_same_table_is_read_however_it_is_written(text: str, size: int) -> None:
    assert values_of(read_csv(text, size)) == AS_READ


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
        codecs.BOM_UTF16_LE + PLAIN.replace("\n", "\r\n").encode("utf-16-le"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 16])
def test_a_byte_order_mark_says_the_encoding(data: bytes, size: int) -> None:
    assert values_of(read_csv(data, size)) == AS_READ


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16", "shift_jis", "UTF-8"])
def test_an_encoding_may_be_named(encoding: str) -> None:
    text = "größe,x\nKäse,1\n" if encoding != "shift_jis" else "名前,x\n表示,1\n"
    data = text.encode("utf-16-le" if encoding == "utf-16" else encoding)
    rows = read_all(TableReader(encoding=encoding), data)
    assert values_of(rows) == [dict(zip(*(line.split(",") for line in text.splitlines()), strict=True))]


@pytest.mark.parametrize("encoding", ["utf-9", "base64", "utf-32", "cp037"])
def test_an_encoding_in_which_no_line_is_found_is_refused(encoding: str) -> None:
    with pytest.raises(BadFileError, match=f"unknown_encoding.*{encoding}"):
        TableReader(encoding=encoding)


@pytest.mark.parametrize("delimiter", ["", "||", '"', "\n"])
def test_a_delimiter_that_is_none_is_refused(delimiter: str) -> None:
    with pytest.raises(BadFileError, match="unknown_delimiter"):
        TableReader(delimiter=delimiter)
    with pytest.raises(BadFileError, match="unknown_delimiter"):
        TableWriter(["a"], delimiter=delimiter)


def test_quoted_line_ends_stay_in_their_cell() -> None:
    text = 'a,b\r\n"one\r\ntwo\nthree\rfour",x\r\n1,"\n"\r\n'
    for size in (1, 2, 5, 1 << 16):
        rows = read_csv(text, size)
        assert values_of(rows) == [{"a": "one\r\ntwo\nthree\rfour", "b": "x"}, {"a": "1", "b": "\n"}]
        assert [row.raw for row in rows] == ['"one\r\ntwo\nthree\rfour",x', '1,"\n"']


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_row_ends_where_the_next_begins(encoding: str) -> None:
    data = 'a;b\r\nä;"1\n2"\r\n\r\nö;3\nü;4'.encode(encoding)
    reader = TableReader(encoding="cp1252" if encoding == "cp1252" else None)
    rows = read_all(reader, data)
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows[-1].end == len(data)
    for at, row in enumerate(rows):
        for size in (1, 1 << 16):
            cursor = reader.cursor_after(row)
            resumed = TableReader.resume(cursor)
            assert read_all(resumed, data[cursor["offset"] :], size) == rows[at + 1 :]


def test_a_cursor_that_is_none_is_refused() -> None:
    for wrong in (
        {},
        {"offset": "x", "number": 1, "format": {}},
        {"offset": 1, "number": 1, "format": {"form": "ods"}},
    ):
        with pytest.raises(BatchJobError, match=r"no (cursor|format)"):
            TableReader.resume(wrong)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (codecs.BOM_UTF8, "empty_file"),
        (b"\n \n", "empty_file"),
        (b"a,b\n", "no_rows"),
        (b"a,b", "no_rows"),
        (b"a,b\n\n\r\n", "no_rows"),
        (b"a,b,a\n1,2,3\n", "duplicate_column"),
        (b"a,,b\n1,2,3\n", "unnamed_column"),
        (b'"a,b\n1,2\n', "malformed_header"),
        (b"PK\x03\x04\x14\x00\x06\x00", "not_text"),
        ("a,b\n1,2\n".encode("utf-16-le"), "wrong_encoding"),
        ("größe\n1".encode("latin-1"), "wrong_encoding"),
        (b"a,b,c,d\n1,2,3,4\n", "too_many_columns"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 16])
def test_a_wrong_file_is_refused_before_its_first_row(data: bytes, code: str, size: int) -> None:
    reader = TableReader(limits=TableLimits(columns=3))
    found: list[TableRow] = []
    with pytest.raises(BadFileError) as caught:
        found.extend(rows_of(reader, blocks_of(data, size)))
    assert (caught.value.code, caught.value.row_number, found) == (code, None, [])


@pytest.mark.parametrize(
    ("header", "code", "told"),
    [
        ("sku,name,price,colour", "unknown_column", "colour"),
        ("sku,name", "missing_column", "'price'"),
        ("sku,nam,preise", "unknown_column", "no columns 'nam', 'preise': known: .*; it has no column 'name', 'price'"),
        ("sku,name,price,a,b,c,d,e,f", "unknown_column", "no columns 'a', 'b', 'c', 'd', 'e', …: known"),
        ("sku,name,price,Preis", "duplicate_column", "'price' and 'Preis'"),
    ],
)
def test_columns_are_checked_before_the_first_row(header: str, code: str, told: str) -> None:
    reader = TableReader(layout=RowLayout(Product))
    with pytest.raises(BadFileError, match=told) as caught:
        reader.feed(f"{header}\n".encode())
    assert caught.value.code == code


def test_the_delimiter_is_the_one_that_makes_known_columns() -> None:
    reader = TableReader(layout=RowLayout(Product))
    with pytest.raises(BadFileError, match=r"unknown_column.*'a,b,c,d'"):
        reader.feed(b"sku;name;price;a,b,c,d\n")
    assert values_of(read_all(TableReader(delimiter="|"), b"a|b,c\n1|2,3\n")) == [{"a": "1", "b,c": "2,3"}]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("1", "ragged_row"),
        ("1,2,3", "ragged_row"),
        (f"1,{'x' * 101}", "field_too_large"),
        ('"1"x,2', "malformed_row"),
    ],
)
def test_a_bad_row_is_told_and_the_others_are_read(line: str, code: str) -> None:
    reader = TableReader(limits=TableLimits(field_length=100))
    rows = read_all(reader, f"a,b\n0,0\n{line}\n9,9\n".encode())
    assert [row.number for row in rows] == [1, 2, 3]
    assert [dict(row.values) for row in rows] == [{"a": "0", "b": "0"}, {}, {"a": "9", "b": "9"}]
    assert rows[1].error is not None
    assert (rows[1].error[0], rows[1].raw) == (code, line)


@pytest.mark.parametrize("size", [1, 64, 1 << 16])
def test_a_row_without_end_is_no_reason_to_keep_the_file_in_memory(size: int) -> None:
    reader = TableReader(limits=TableLimits(row_bytes=1000))
    left = blocks_of(b'a,b\n1,2\n"3' + b",4\n" * 30_000, size)
    rows: list[TableRow] = []
    with pytest.raises(BadFileError) as caught:
        rows.extend(rows_of(reader, left))
    assert (caught.value.code, caught.value.row_number) == ("row_too_large", 2)
    assert [row.number for row in rows] == [1]
    assert sum(map(len, left)) >= 90_000 - 1100 - 2 * size


def test_a_quote_that_nothing_closes_is_told_with_its_row() -> None:
    reader = TableReader()
    assert len(reader.feed(b'a,b\n1,2\n"3,4\n5,6\n')) == 1
    with pytest.raises(BadFileError, match="unclosed_quote in row 2"):
        reader.finish()


def test_wrong_bytes_are_told_with_their_row_and_encoding() -> None:
    reader = TableReader()
    rows = reader.feed("a,b\n1,2\nKäse,3\n".encode("latin-1"))
    assert [row.number for row in rows] == [1]
    with pytest.raises(BadFileError, match="in row 2: the bytes e4 are no text in utf-8") as caught:
        reader.feed(b"4,5\n")
    assert caught.value.row_number == 2


def test_large_cells_leave_the_limit_of_the_csv_module_as_it_was() -> None:
    before = csv.field_size_limit()
    cell = "x" * (before + 1)
    rows = read_all(TableReader(limits=TableLimits(field_length=1 << 20)), f'a,b\n"{cell}",1\n2,3\n'.encode())
    assert values_of(rows) == [{"a": cell, "b": "1"}, {"a": "2", "b": "3"}]
    assert csv.field_size_limit() == before


def test_json_lines_are_read() -> None:
    data = b'{"a": 1, "b": "x"}\n\n{"a": 1.10, "b": null}\r\n{"a": 2}'
    for size in (1, 1 << 16):
        reader = TableReader(TableForm.JSONL)
        rows = read_all(reader, data, size)
        assert [str(row.values["a"]) for row in rows] == ["1", "1.10", "2"]
        assert [row.number for row in rows] == [1, 2, 3]
        cursor = reader.cursor_after(rows[0])
        assert read_all(TableReader.resume(cursor), data[rows[0].end :], size) == rows[1:]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "malformed_row"),
        ("[1]", "malformed_row"),
        ("[" * 5000, "malformed_row"),
        (f'{{"a": "{"x" * 101}"}}', "field_too_large"),
    ],
)
def test_a_bad_line_of_json_is_told_and_the_others_are_read(line: str, code: str) -> None:
    reader = TableReader(TableForm.JSONL, limits=TableLimits(field_length=100))
    rows = read_all(reader, f'{{"a": 0}}\n{line}\n{{"a": 9}}\n'.encode())
    assert [row.error and row.error[0] for row in rows] == [None, code, None]
    assert rows[1].raw == line


@pytest.mark.parametrize(("data", "code"), [(b"", "empty_file"), (b"\n\n", "no_rows"), (b"{}\n\xff", "wrong_encoding")])
def test_a_wrong_file_of_json_lines_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(BadFileError, match=code):
        read_all(TableReader(TableForm.JSONL), data)


def test_memory_is_flat_however_long_the_file_is() -> None:
    reader = TableReader()
    reader.feed(b"a,b\n")
    block = b"x" * 40 + b",y\n"
    numbers = [row.number for _ in range(2_000) for row in reader.feed(block * 20)]
    assert numbers[-1] == 40_000
    records = reader._records
    assert records is not None
    assert records.waiting == 0
