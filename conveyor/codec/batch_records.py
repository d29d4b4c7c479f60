"""What stores keep of batch jobs as JSON: the errors of rows, and what became of rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conveyor.model.batches.values import RowError, RowOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decode_counts", "decode_row_error", "encode_counts", "encode_row_error"]


def encode_row_error(error: RowError) -> bytes:
    """Return the error of a row as JSON in ASCII, which any database keeps: a row may hold what is no text there."""
    return json.dumps([error.code, error.message, error.column, error.raw], separators=(",", ":")).encode("ascii")


def decode_row_error(row_number: int, data: bytes) -> RowError:
    """Return what `encode_row_error` was given."""
    code, message, column, raw = json.loads(data)
    return RowError(row_number, code, message, column, raw)


def encode_counts(counts: Mapping[RowOutcome, int]) -> str:
    """Return rows by what became of them, as JSON."""
    return json.dumps(dict(counts), separators=(",", ":"))


def decode_counts(data: str) -> dict[RowOutcome, int]:
    """Return what `encode_counts` was given."""
    return {RowOutcome(outcome): count for outcome, count in json.loads(data).items()}
