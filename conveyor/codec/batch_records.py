"""What is kept of batch jobs as JSON: the errors of rows, what became of rows, and what a look at them found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from conveyor.model.batches.previews import Preview
from conveyor.model.batches.values import RowError, RowFault, RowOutcome

__all__ = ["decode_counts", "decode_row_error", "encode_counts", "encode_row_error", "find_preview"]


def encode_row_error(error: RowError) -> bytes:
    """Return the error of a row as JSON in ASCII, which any database keeps: a row may hold what is no text there."""
    also = [(fault.code, fault.message, fault.column) for fault in error.also]
    kept = [error.code, error.message, error.column, error.raw, also, error.ended_run]
    return json.dumps(kept, separators=(",", ":")).encode("ascii")


def decode_row_error(row_number: int, data: bytes) -> RowError:
    """Return what `encode_row_error` was given."""
    code, message, column, raw, also, ended_run = json.loads(data)
    return RowError(row_number, code, message, column, raw, tuple(RowFault(*fault) for fault in also), ended_run)


def encode_counts(counts: Mapping[RowOutcome, int]) -> str:
    """Return rows by what became of them, as JSON."""
    return json.dumps(dict(counts), separators=(",", ":"))


def decode_counts(data: str) -> dict[RowOutcome, int]:
    """Return what `encode_counts` was given."""
    return {RowOutcome(outcome): count for outcome, count in json.loads(data).items()}


def find_preview(result: Mapping[str, Any] | None) -> Preview | None:
    """Return what a look at all rows found, from the result of a batch job; None: it holds no such thing.

    A strategy may keep anything in its result, under whatever name.
    """
    try:
        return None if result is None else msgspec.convert(result.get("preview"), Preview)
    except msgspec.ValidationError:
        return None
