"""Spreadsheets (XLSX, by openpyxl) to CSV, so that all the rest is as for any table; templates and bad rows as such.

A spreadsheet cannot be read from the middle, so batch jobs do not read it: it is turned into CSV as it is uploaded.
"""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Final

from conveyor.codec.tables.cells import write_cell
from conveyor.codec.tables.forms import OWN_COLUMNS, TableFormat
from conveyor.codec.tables.guard import guard, unguard
from conveyor.codec.tables.templates import template_rows
from conveyor.codec.tables.writing import csv_text
from conveyor.errors import BadFileError, ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from conveyor.codec.tables.layout import RowLayout

__all__ = ["WorkbookWriter", "make_workbook_template", "read_workbook"]

# What a file may unpack to: some kilobytes of it can be made to fill any memory.
LARGEST: Final = 256 << 20
ROWS_AT_ONCE: Final = 500
# No sheet has more.
MOST_ROWS: Final = 1 << 20
_FORMAT: Final = TableFormat()
_MIDNIGHT: Final = time()
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
# XML has no form of these.
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def read_workbook(file: BinaryIO, *, sheet: str | None = None, largest: int = LARGEST) -> Iterator[bytes]:
    """Yield a sheet as CSV in UTF-8, some hundred rows at a time. It blocks: call it in a thread.

    Formulas are what they came to when the file was saved, and empty rows are left out.

    Args:
        file: the spreadsheet, open for reading; it must be seekable.
        sheet: its name; None: the first.
        largest: how many bytes it may unpack to.

    Raises:
        BadFileError: it is no spreadsheet, is too large, or has no such sheet.
        ConfigurationError: openpyxl is not installed.
    """
    openpyxl = _openpyxl()
    _check_size(file, largest)
    try:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except Exception as exc:  # whatever a parser may raise that is given anything
        raise BadFileError("not_a_workbook", f"it is no spreadsheet in the format XLSX: {exc}") from exc
    try:
        yield from _rows(_find_sheet(workbook, sheet))
    finally:
        workbook.close()


def make_workbook_template(layout: RowLayout[Any]) -> bytes:
    """Return the template for a row class as a spreadsheet; see `make_template`.

    Raises:
        ConfigurationError: openpyxl is not installed.
    """
    workbook = WorkbookWriter()
    workbook.add(template_rows(layout))
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


class WorkbookWriter:
    """Writes a spreadsheet of one sheet, some rows at a time; it keeps them on disk. It blocks: call it in a thread."""

    def __init__(self) -> None:
        """Begin.

        Raises:
            ConfigurationError: openpyxl is not installed.
        """
        self._workbook = _openpyxl().Workbook(write_only=True)
        self._sheet = self._workbook.create_sheet("rows")
        self._count = 0

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Add rows of cells; what is a number is one there, and nothing is run as a formula.

        Raises:
            BadFileError: there are more than a sheet can hold.
        """
        for cells in rows:
            self._count += 1
            if self._count > MOST_ROWS:
                raise BadFileError("workbook_too_large", f"a sheet has at most {MOST_ROWS} rows")
            self._sheet.append([_value(cell) for cell in cells])

    def save(self, file: BinaryIO) -> None:
        """Write it into a file; afterwards nothing can be added."""
        self._workbook.save(file)


def _value(cell: str) -> str | int | float:
    """Return what stands for a cell's text; a number only where it is read as the same text again."""
    if _NUMBER.fullmatch(cell):
        number = float(cell) if "." in cell else int(cell)
        if write_cell(number) == cell:
            return number
    return guard(_NO_TEXT.sub("\ufffd", cell))


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError as exc:
        raise ConfigurationError("spreadsheets need openpyxl: pip install 'conveyor[xlsx]'") from exc
    return openpyxl


def _check_size(file: BinaryIO, largest: int) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            # No more than it says is ever unpacked of a file in an archive.
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError) as exc:
        raise BadFileError("not_a_workbook", f"it is no spreadsheet in the format XLSX: {exc}") from exc
    if size > largest:
        raise BadFileError("workbook_too_large", f"it unpacks to {size} bytes; at most {largest} are read")
    file.seek(0)


def _find_sheet(workbook: Any, name: str | None) -> Any:
    names = [sheet.title for sheet in workbook.worksheets]
    if not names or (name is not None and name not in names):
        raise BadFileError("no_such_sheet", f"there is no sheet {name or 'in it'!r}; there is: {', '.join(names)}")
    found = workbook.worksheets[0 if name is None else names.index(name)]
    # Some programs say too small a size in the file.
    found.reset_dimensions()
    return found


def _rows(sheet: Any) -> Iterator[bytes]:
    width, is_own = 0, False
    waiting: list[Sequence[str]] = []
    try:
        for values in sheet.iter_rows(values_only=True):
            cells = [_text(value) for value in values]
            if not any(cells):
                continue
            if not width:
                width, is_own = len(cells), not OWN_COLUMNS.isdisjoint(cells)
            if is_own:
                # Its formulas are guarded, which the CSV file has done by itself; in others' an apostrophe is one.
                cells = [unguard(cell) for cell in cells]
            waiting.append(cells + [""] * (width - len(cells)))
            if len(waiting) == ROWS_AT_ONCE:
                yield _encode(waiting)
                waiting.clear()
    except (zipfile.BadZipFile, ValueError, KeyError, SyntaxError) as exc:
        raise BadFileError("not_a_workbook", f"the spreadsheet is damaged: {exc}") from exc
    yield _encode(waiting)


def _encode(rows: Iterable[Sequence[str]]) -> bytes:
    return csv_text(rows, _FORMAT).encode()


def _text(value: Any) -> str:
    if isinstance(value, datetime) and value.time() == _MIDNIGHT:
        return value.date().isoformat()  # a date has no type of its own there
    try:
        return write_cell(value)
    except PayloadError:  # a time of day, or how long something takes
        return str(value)
