"""Rows of batch jobs to values of the model."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.rows import from_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_counts
from conveyor.errors import BatchJobNotFoundError
from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchJobData, Confirmation, StatusChange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.rows import JobRow

__all__ = ["find_batch", "look_for_batch", "with_histories"]


def look_for_batch(connection: sqlite3.Connection, batch_id: str) -> BatchJobData | None:
    """Return a batch job with its history, or None."""
    rows = connection.execute(sql("batches/get_batch"), (batch_id,)).fetchall()
    return with_histories(connection, rows)[0] if rows else None


def find_batch(connection: sqlite3.Connection, batch_id: str) -> BatchJobData:
    """Return a batch job with its history.

    Raises:
        BatchJobNotFoundError
    """
    batch = look_for_batch(connection, batch_id)
    if batch is None:
        raise BatchJobNotFoundError(batch_id)
    return batch


def with_histories(connection: sqlite3.Connection, rows: Sequence[JobRow]) -> list[BatchJobData]:
    """Return the batch jobs of rows of ``get_batch``."""
    histories: dict[str, list[StatusChange]] = defaultdict(list)
    ids = as_json([row[0] for row in rows])
    lines = connection.execute(sql("batches/get_batch_history"), (ids,))
    for batch_id, at, before, after, command, by, reason in lines:
        histories[batch_id].append(
            StatusChange(
                from_micros(at),
                None if before is None else BatchStatus(before),
                BatchStatus(after),
                None if command is None else BatchCommand(command),
                by,
                reason,
            )
        )
    return [_batch(row, tuple(histories[row[0]])) for row in rows]


def _batch(row: JobRow, history: tuple[StatusChange, ...]) -> BatchJobData:
    return BatchJobData(
        id=row[0],
        batch_type=row[1],
        status=BatchStatus(row[2]),
        context=row[3],
        created_at=from_micros(row[4]),
        updated_at=from_micros(row[5]),
        dry_run=bool(row[6]),
        confirmation=Confirmation(row[7]),
        created_by=row[8],
        identity=row[9],
        parent_id=row[10],
        revision=row[11],
        history=history,
        run=row[12],
        run_started_at=None if row[13] is None else from_micros(row[13]),
        run_started_from=row[14],
        job_id=row[15],
        steps=row[16],
        cursor=row[17],
        done=row[18],
        total=row[19],
        counts=decode_counts(row[20]),
        message=row[21],
        result=row[22],
        error=row[23],
        retries=row[24],
        parts=row[25],
        parts_done=row[26],
    )
