"""JSON lines to rows: one object a line."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from conveyor.codec.tables.forms import NOTE_COLUMN, OWN_COLUMNS, TableRow, row_too_large, wrong_bytes
from conveyor.codec.tables.notes import is_own_row

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from conveyor.codec.tables.forms import TableFormat, TableLimits

__all__ = ["JsonRecords", "decode_exactly"]

# Numbers with a point keep every digit.
decode_exactly: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class JsonRecords:
    """The rows of a file of JSON lines; see `Records`."""

    def __init__(self, table: TableFormat, place: int, number: int, limits: TableLimits) -> None:
        """Begin at a place of the file, after the row of a number."""
        self.format = table
        self.number: int = number
        self.waiting = 0
        self._place = place
        self._limits = limits
        self._lines: deque[bytes] = deque()

    def add(self, lines: Sequence[bytes], /) -> None:
        """Take lines."""
        self._lines.extend(lines)

    def take_block(self, most: int) -> None:  # noqa: ARG002 - each row is looked at by itself
        """Return that there are no rows to take all at once."""
        return

    def take(self, *, is_last: bool) -> Generator[TableRow, None, None]:  # noqa: ARG002 - each line is a row
        """Yield a row for each line that is not blank."""
        while self._lines:
            line = self._lines.popleft()
            self._place += len(line)
            if len(line) > self._limits.row_bytes:
                raise row_too_large(self._limits, self.number + 1)
            try:
                raw = line.decode(self.format.encoding).strip("\r\n")
            except UnicodeDecodeError as exc:
                raise wrong_bytes(exc, self.format.encoding, self.number + 1) from exc
            if raw and not raw.isspace():
                row = self._row(raw)
                if row is not None:
                    yield row

    def _row(self, raw: str) -> TableRow | None:
        number = self.number + 1
        values, error = self._read(raw)
        try:
            if is_own_row(values.get(NOTE_COLUMN)):
                return None
        except ValueError as exc:
            values, error = {}, (NOTE_COLUMN, str(exc))
        self.number = number
        if not OWN_COLUMNS.isdisjoint(values):
            values = {name: value for name, value in values.items() if name not in OWN_COLUMNS}
        return TableRow(number, values, raw, self._place, error)

    def _read(self, raw: str) -> tuple[dict[str, object], tuple[str, str] | None]:
        try:
            values = decode_exactly(raw)
        except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError) as exc:
            return {}, ("malformed_row", f"the line is no JSON: {exc}")
        if not isinstance(values, dict):
            return {}, ("malformed_row", "the line is no JSON object")
        for name, value in values.items():
            if isinstance(value, str) and len(value) > self._limits.field_length:
                return {}, ("field_too_large", f"{name!r} has {len(value)} characters")
        return values, None
