"""What a table is made of: its form, its limits, its rows, and the words that conveyor itself puts into headers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import define, evolve, frozen

from conveyor.errors import BadFileError, BatchJobError

__all__ = [
    "DELIMITERS",
    "ERROR_COLUMNS",
    "NOTE_COLUMN",
    "OF_WORKBOOK",
    "OWN_COLUMNS",
    "TableForm",
    "TableFormat",
    "TableLimits",
    "TableRow",
    "check_delimiter",
    "form_of",
    "row_too_large",
    "wrong_bytes",
]

# What stands between two cells; where a header says nothing, the first.
DELIMITERS: Final = (",", ";", "\t")
# What an error file has more than the file it is about. Both kinds of columns are skipped when a file comes back.
ERROR_COLUMNS: Final = ("error_row", "error_code", "error_column", "error_message")
NOTE_COLUMN: Final = "template_note"
OWN_COLUMNS: Final = frozenset({*ERROR_COLUMNS, NOTE_COLUMN})


# The media type of a CSV file that was made of a spreadsheet as it was uploaded: its bad rows are given as one.
OF_WORKBOOK: Final = "text/csv; made-of=xlsx"


class TableForm(StrEnum):
    """How rows stand in a file."""

    CSV = "csv"
    # One JSON object a line.
    JSONL = "jsonl"


def form_of(name: str) -> TableForm:
    """Return how rows stand in a file of this name.

    Raises:
        BadFileError: it is a file of JSON, which cannot be read row by row.

    >>> form_of("Products.NDJSON").value, form_of("products.txt").value
    ('jsonl', 'csv')
    """
    if name.lower().endswith(".json"):
        why = f"{name!r} is JSON as a whole, and not read row by row: save it as CSV, or one object a line as .jsonl"
        raise BadFileError("whole_json", why)
    return TableForm.JSONL if name.lower().endswith((".jsonl", ".ndjson")) else TableForm.CSV


@frozen
class TableLimits:
    """How large things may be, so that no file fills the memory.

    Attributes:
        row_bytes: one row as it stands in the file; a larger one ends the reading: most often a quote is missing.
        field_length: one cell, in characters; a larger one makes its row bad.
        columns: how many.
    """

    row_bytes: int = 1 << 20
    field_length: int = 1 << 17
    columns: int = 1000


@frozen
class TableFormat:
    """How one file is written: what must be known to go on in the middle of it.

    Attributes:
        encoding: Python's name of it, without a byte order mark.
        delimiter: of a CSV file.
        columns: the header of a CSV file as it stands there, conveyor's own columns included; empty for JSON lines.
        has_guard: whether apostrophes in front of formulas are the writer's, and go when it is read.
    """

    form: TableForm = TableForm.CSV
    encoding: str = "utf-8"
    delimiter: str = ","
    columns: tuple[str, ...] = ()
    has_guard: bool = True

    @property
    def data_columns(self) -> tuple[str, ...]:
        """The columns without conveyor's own."""
        return tuple(name for name in self.columns if name not in OWN_COLUMNS)

    @property
    def has_comma(self) -> bool:
        """Whether decimals have a comma: where cells are parted by semicolons, since there commas are."""
        return self.form is TableForm.CSV and self.delimiter == ";"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        return {
            "form": self.form.value,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "columns": list(self.columns),
            "has_guard": self.has_guard,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableFormat:
        """Return what `to_json` made.

        Raises:
            BatchJobError: it is something else.
        """
        try:
            return cls(
                form=TableForm(data["form"]),
                encoding=str(data["encoding"]),
                delimiter=str(data["delimiter"]),
                columns=tuple(str(name) for name in data["columns"]),
                has_guard=bool(data["has_guard"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise BatchJobError(f"this is no format of a table: {data!r}") from exc

    def with_columns(self, columns: tuple[str, ...]) -> TableFormat:
        """Return it with the columns of a header."""
        return evolve(self, columns=columns)


@define
class TableRow:
    """One row of a file. One is made for each row, so it is not frozen; treat it as if it were.

    Attributes:
        number: counted from 1; headers, blank lines and the rows of a template are not counted.
        values: by column as it is called in the file: text in CSV files, JSON values in JSON lines, with numbers that
            have a point as Decimal. Empty where the row is bad.
        raw: the row as it stands in the file, without the end of its line.
        end: how many bytes of the file there are up to the end of this row: where the next begins.
        error: why it cannot be read: a code and a message; None: it can.
    """

    number: int
    values: Mapping[str, Any]
    raw: str
    end: int
    error: tuple[str, str] | None = None


def check_delimiter(given: str) -> str:
    """Return what stands between two cells.

    Raises:
        BadFileError: it is more than one character, or one that cells or lines begin or end with.
    """
    if len(given) != 1 or given in '"\r\n\0':
        raise BadFileError("unknown_delimiter", f"{given!r} is no delimiter: it is one character, such as , or ;")
    return given


def row_too_large(limits: TableLimits, number: int) -> BadFileError:
    """Return the error for a row that is larger than rows may be."""
    reason = f"the row that begins here is larger than {limits.row_bytes} bytes: is a quote missing that ends a cell?"
    return BadFileError("row_too_large", reason, number)


def wrong_bytes(exc: UnicodeDecodeError, encoding: str, number: int | None) -> BadFileError:
    """Return the error for bytes that are no text in the file's encoding."""
    wrong = exc.object[exc.start : exc.end].hex(" ")
    reason = f"the bytes {wrong} are no text in {encoding}: save it as UTF-8, or name its encoding, such as cp1252"
    return BadFileError("wrong_encoding", reason, number)
