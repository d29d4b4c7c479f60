"""Spreadsheets: their rows as CSV, what is refused, and templates."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from conveyor.codec.tables import RowLayout, TableReader, make_workbook_template, read_workbook
from conveyor.errors import BadFileError
from tests.codec.tables.classes import Everything, Product
from tests.codec.tables.feeding import read_all, values_of


def workbook_of(*rows: list[Any], title: str = "rows") -> io.BytesIO:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    file = io.BytesIO()
    workbook.save(file)
    file.seek(0)
    return file


def test_a_sheet_is_read_as_any_table_is() -> None:
    file = workbook_of(
        ["text", "whole", "ratio", "is_new", "day", "at", "maybe"],
        ["'=1", 3, 1.5, True, datetime(2026, 2, 28), datetime(2026, 2, 28, 10, 30), None],  # noqa: DTZ001 - has no zone
        [None, None],
        ["x;y", 4, 2, False, date(2026, 3, 1), datetime(2026, 3, 1), 5],  # noqa: DTZ001 - as above
    )
    layout = RowLayout(Everything)
    rows = read_all(TableReader(layout=layout), b"".join(read_workbook(file)))
    first, second = (layout.read(row) for row in rows)
    assert (first.text, first.whole, first.ratio, first.is_new, first.day) == ("'=1", 3, 1.5, True, date(2026, 2, 28))
    assert (first.at, first.maybe) == (datetime(2026, 2, 28, 10, 30), None)  # noqa: DTZ001 - as above
    assert (second.text, second.at, second.maybe) == ("x;y", datetime(2026, 3, 1), 5)  # noqa: DTZ001 - as above


def test_rows_are_as_wide_as_the_header() -> None:
    data = b"".join(read_workbook(workbook_of(["a", "b"], [1], [1, 2, 3], [time(9, 30), 2])))
    rows = read_all(TableReader(), data)
    assert [row.error and row.error[0] for row in rows] == [None, "ragged_row", None]
    assert (dict(rows[0].values), rows[2].values["a"]) == ({"a": "1", "b": ""}, "09:30:00")


def test_many_rows_come_in_parts() -> None:
    parts = list(read_workbook(workbook_of(["a"], *([number] for number in range(1200)))))
    assert len(parts) == 3
    assert [row["a"] for row in values_of(read_all(TableReader(), b"".join(parts)))] == list(map(str, range(1200)))


def test_a_sheet_may_be_named() -> None:
    file = workbook_of(["a"], [1], title="prices")
    assert values_of(read_all(TableReader(), b"".join(read_workbook(file, sheet="prices")))) == [{"a": "1"}]
    with pytest.raises(BadFileError, match=r"no_such_sheet.*'stock'.*prices"):
        list(read_workbook(file, sheet="stock"))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(2_000_000))
    file.seek(0)
    assert len(file.getvalue()) < 10_000
    with pytest.raises(BadFileError, match="workbook_too_large"):
        list(read_workbook(file, largest=1_000_000))


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"PK\x03\x04 and no more"])
def test_what_is_no_spreadsheet_is_refused(data: bytes) -> None:
    with pytest.raises(BadFileError, match="not_a_workbook"):
        list(read_workbook(io.BytesIO(data)))


def test_another_archive_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BadFileError, match="not_a_workbook"):
        list(read_workbook(file))


def test_a_damaged_sheet_is_told() -> None:
    whole, file = workbook_of(["a"], [1]), io.BytesIO()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(file, "w") as archive:
        for name in source.namelist():
            text = source.read(name)
            archive.writestr(name, text[: len(text) // 2] if name.endswith("sheet1.xml") else text)
    with pytest.raises(BadFileError, match="not_a_workbook"):
        list(read_workbook(file))


def test_a_template_is_accepted_back() -> None:
    layout = RowLayout(Product)
    workbook = openpyxl.load_workbook(io.BytesIO(make_workbook_template(layout)))
    sheet = workbook.active
    assert [cell.value for cell in sheet[1]][:3] == ["sku *", "name *", "price *"]
    sheet.append(["b-2", "Bolt", 1.25])
    file = io.BytesIO()
    workbook.save(file)
    (row,) = read_all(TableReader(layout=layout), b"".join(read_workbook(file)))
    assert layout.read(row) == Product("B-2", "Bolt", Decimal("1.25"))
