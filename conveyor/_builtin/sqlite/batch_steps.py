"""Steps of batch jobs in SQLite, alone or in the transaction of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.batch_part_rows import find_part, write_part, write_standing
from conveyor._builtin.sqlite.batch_rows import find_batch
from conveyor._builtin.sqlite.rows import from_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import encode_counts, encode_row_error
from conveyor.errors import BatchJobNotFoundError, BatchRunLostError
from conveyor.model.batches.changing import last_errors, takes_errors
from conveyor.model.batches.parts import part_stepped
from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.batches.values import BatchStep, RowError

__all__ = ["keep_step", "save_errors", "save_step"]


def save_step(transaction: Transaction, batch_id: str, run: str, step: BatchStep) -> BatchStatus:
    """Keep how far a run is; return where the batch job stands."""
    status, _ = keep_step(transaction, batch_id, run, step)
    return status


def keep_step(transaction: Transaction, batch_id: str, run: str, step: BatchStep) -> tuple[BatchStatus, bool]:
    """Keep a step as `conveyor.model.batches.changing.stepped` says; return the status, and whether the step is new.

    Raises:
        BatchJobNotFoundError
        BatchRunLostError
    """
    if step.part is not None:
        return _keep_part_step(transaction, batch_id, run, step)
    connection = transaction.connection
    numbers = (step.number, transaction.now, step.cursor, step.done, step.total)
    values = (batch_id, run, *numbers, encode_counts(step.counts), step.message, step.result)
    is_new = connection.execute(sql("batches/save_step"), values).rowcount
    found = connection.execute(sql("batches/save_step_status"), (batch_id, run)).fetchone()
    if found is None:
        raise BatchJobNotFoundError(batch_id)
    status, is_own = found
    if not is_own:
        raise BatchRunLostError(batch_id, run)
    if is_new:
        _keep_rows(transaction, batch_id, step)
    return BatchStatus(status), bool(is_new)


def save_errors(transaction: Transaction, batch_id: str, job_id: str, errors: Sequence[RowError]) -> BatchStatus:
    """Keep bad rows that were found before anything is processed; return where the batch job stands."""
    batch = find_batch(transaction.connection, batch_id)
    if takes_errors(batch, job_id):
        _keep_errors(transaction, batch_id, errors)
    return batch.status


def _keep_part_step(transaction: Transaction, batch_id: str, run: str, step: BatchStep) -> tuple[BatchStatus, bool]:
    connection = transaction.connection
    batch = find_batch(connection, batch_id)
    part = find_part(connection, batch_id, step.part or 0)
    after, part_after = part_stepped(batch, part, run, step, from_micros(transaction.now))
    if after is batch:
        return batch.status, False
    write_part(connection, batch_id, part_after)
    write_standing(connection, after)
    _keep_rows(transaction, batch_id, step)
    return after.status, True


def _keep_rows(transaction: Transaction, batch_id: str, step: BatchStep) -> None:
    if step.mended:
        rows = [(batch_id, number) for number in step.mended]
        transaction.connection.executemany(sql("batches/save_step_mended"), rows)
    _keep_errors(transaction, batch_id, step.errors)


def _keep_errors(transaction: Transaction, batch_id: str, errors: Sequence[RowError]) -> None:
    if errors:
        rows = [(batch_id, number, encode_row_error(error)) for number, error in last_errors(errors).items()]
        transaction.connection.executemany(sql("batches/save_step_error"), rows)
