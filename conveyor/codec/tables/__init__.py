"""Tables: CSV and JSON lines read and written as streams, and rows read into classes; bytes in, rows out, no I/O.

`TableReader` is fed blocks of bytes and returns rows; `RowLayout` reads rows into a class; `TableWriter` returns bytes.
"""

from __future__ import annotations

from conveyor.codec.tables.columns import Column, column
from conveyor.codec.tables.csv_blocks import TableBlock
from conveyor.codec.tables.error_files import ErrorFileWriter
from conveyor.codec.tables.forms import TableForm, TableFormat, TableLimits, TableRow
from conveyor.codec.tables.layout import RowLayout
from conveyor.codec.tables.reading import TableReader
from conveyor.codec.tables.spreadsheets import WorkbookWriter, make_workbook_template, read_workbook
from conveyor.codec.tables.templates import make_template
from conveyor.codec.tables.writing import TableWriter

__all__ = [
    "Column",
    "ErrorFileWriter",
    "RowLayout",
    "TableBlock",
    "TableForm",
    "TableFormat",
    "TableLimits",
    "TableReader",
    "TableRow",
    "TableWriter",
    "WorkbookWriter",
    "column",
    "make_template",
    "make_workbook_template",
    "read_workbook",
]
