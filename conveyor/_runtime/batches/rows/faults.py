"""What an exception says of a row: that it is bad, and why; or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor.codec import encode_json
from conveyor.errors import (
    BadRowError,
    BatchRunLostError,
    BatchStoppedError,
    ConfigurationError,
    ConstraintError,
    ConveyorInternalError,
    LockLostError,
    PayloadError,
    StoreUnavailableError,
)
from conveyor.model.batches.values import RowError, RowFault
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from conveyor.model.batches.rows import SourceRow

__all__ = ["TRANSIENT", "UNBLAMED", "bad_row"]

# Tried again a little later: the fault is not a row's.
TRANSIENT: Final = (StoreUnavailableError, TimeoutError)
# These end the run, or its try; no row made them.
UNBLAMED: Final = (
    *TRANSIENT,
    BatchStoppedError,
    BatchRunLostError,
    LockLostError,
    ConfigurationError,
    ConveyorInternalError,
)

_CODES: Final = {"unique": "not_unique", "not_null": "missing_value", "foreign_key": "unknown_reference"}


def bad_row(row: SourceRow[Any], error: Exception) -> RowError:
    """Return what is kept of a row that an exception is blamed on."""
    raw = clean_text(_raw(row))
    if isinstance(error, BadRowError):
        also = tuple(RowFault(other.code, clean_text(other.message), other.column) for other in error.also)
        return RowError(row.number, error.code, clean_text(error.message), error.column, raw, also)
    if isinstance(error, ValueError):
        return RowError(row.number, "invalid_value", clean_text(str(error)), None, raw)
    if isinstance(error, ConstraintError):
        # Of several columns none is the one that is wrong.
        column = error.columns[0] if len(error.columns) == 1 else None
        # What stands below it in some drivers' messages is the row that they made of this one, with all its values.
        message = clean_text(str(error).partition("\n")[0])
        return RowError(row.number, _CODES.get(error.kind, "refused"), message, column, raw)
    return RowError(row.number, "failed", clean_text(f"{type(error).__name__}: {error}"), None, raw)


def _raw(row: SourceRow[Any]) -> str:
    if row.raw is not None:
        return row.raw
    try:
        return encode_json(row.row).decode()
    except PayloadError:
        return repr(row.row)
