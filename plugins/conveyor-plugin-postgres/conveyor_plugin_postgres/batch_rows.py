"""Rows of batch jobs to values of the model and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from conveyor.codec import decode_counts
from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchJobData, Confirmation, StatusChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor_plugin_postgres.part import Row

__all__ = ["add_to_history", "batch_from_row", "change_ids", "text_column"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# Its place in the rows of ``get_batch``.
_HISTORY: Final = 27


def batch_from_row(row: Row) -> BatchJobData:
    """Return the batch job of a row whose first columns are those of ``get_batch``."""
    return BatchJobData(
        id=row[0],
        batch_type=row[1],
        status=BatchStatus(row[2]),
        context=row[3],
        created_at=row[4],
        updated_at=row[5],
        dry_run=row[6],
        confirmation=Confirmation(row[7]),
        created_by=row[8],
        identity=row[9],
        parent_id=row[10],
        revision=row[11],
        run=row[12],
        run_started_at=row[13],
        run_started_from=row[14],
        job_id=row[15],
        steps=row[16],
        cursor=row[17],
        done=row[18],
        total=row[19],
        counts=decode_counts(row[20]),
        message=_text(row[21]),
        result=row[22],
        error=_text(row[23]),
        retries=row[24],
        parts=row[25],
        parts_done=row[26],
        history=tuple(_line(values) for _, *values in json.loads(row[_HISTORY])),
    )


def change_ids(row: Row) -> set[str | None]:
    """Return the ids of the changes that the batch job of a row has seen."""
    return {change_id for change_id, *_ in json.loads(row[_HISTORY])}


def add_to_history(before: bytes | None, change_id: str | None, line: StatusChange) -> bytes:
    """Return the column of a history with one line more, as JSON in ASCII."""
    lines = [] if before is None else json.loads(before)
    at = (line.at - _EPOCH) // _MICROSECOND
    lines.append([change_id, at, line.before, line.after, line.command, line.by, line.reason])
    return json.dumps(lines, separators=(",", ":")).encode("ascii")


def text_column(text: str | None) -> bytes | None:
    """Return text as it is stored where it may hold what is no text for the database."""
    return None if text is None else text.encode()


def _text(column: bytes | None) -> str | None:
    return None if column is None else column.decode()


def _line(values: Sequence[Any]) -> StatusChange:
    at, before, after, command, by, reason = values
    return StatusChange(
        _EPOCH + at * _MICROSECOND,
        None if before is None else BatchStatus(before),
        BatchStatus(after),
        None if command is None else BatchCommand(command),
        by,
        reason,
    )
