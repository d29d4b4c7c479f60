"""Steps of batch jobs in PostgreSQL, alone or in the transaction of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.codec import encode_counts, encode_row_error
from conveyor.errors import BatchJobNotFoundError, BatchRunLostError
from conveyor.model.batches.changing import last_errors, takes_errors
from conveyor.model.batches.parts import part_stepped
from conveyor.model.batches.status import BatchStatus
from conveyor_plugin_postgres.batch_part_rows import find_part, read_locked, write_part, write_standing
from conveyor_plugin_postgres.batch_rows import text_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.batches.values import BatchStep, RowError
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["save_errors", "save_step"]


async def save_step(part: Part, batch_id: str, run: str, step: BatchStep) -> tuple[BatchStatus, bool]:
    """Keep how far a run is; return where the batch job stands, and whether the step is new.

    It is one statement; that of a part is several, in the caller's transaction.

    Raises:
        BatchJobNotFoundError
        BatchRunLostError
    """
    if step.part is not None:
        return await _save_part_step(part, batch_id, run, step)
    errors = last_errors(step.errors)
    numbers = (step.number, step.cursor, step.done, step.total, encode_counts(step.counts))
    told = (text_column(step.message), step.result)
    # Rows that are bad no more are those without an error.
    told_of = [*(number for number in step.mended if number not in errors), *errors]
    bad_rows = (told_of, [encode_row_error(errors[number]) if number in errors else None for number in told_of])
    row: Row  # there is always one
    row = await part.fetchrow("batches/save_step", batch_id, run, *numbers, *told, *bad_rows, part.moment)
    stands, is_own, is_new = row
    if stands is None:
        raise BatchJobNotFoundError(batch_id)
    if not is_own:
        raise BatchRunLostError(batch_id, run)
    return BatchStatus(stands), is_new


async def save_errors(part: Part, batch_id: str, job_id: str, errors: Sequence[RowError]) -> BatchStatus:
    """Keep bad rows that were found before anything is processed; return where the batch job stands."""
    batch, _ = await read_locked(part, batch_id)
    if takes_errors(batch, job_id):
        await _keep_errors(part, batch_id, errors)
    return batch.status


async def _save_part_step(part: Part, batch_id: str, run: str, step: BatchStep) -> tuple[BatchStatus, bool]:
    batch, now = await read_locked(part, batch_id)
    before = await find_part(part, batch_id, step.part or 0)
    after, part_after = part_stepped(batch, before, run, step, now)
    if after is batch:
        return batch.status, False
    await write_part(part, batch_id, part_after)
    await write_standing(part, after)
    if step.mended:
        await part.execute("batches/save_step_mended", batch_id, list(step.mended))
    await _keep_errors(part, batch_id, step.errors)
    return after.status, True


async def _keep_errors(part: Part, batch_id: str, errors: Sequence[RowError]) -> None:
    if errors:
        last = last_errors(errors)
        encoded = [encode_row_error(error) for error in last.values()]
        await part.execute("batches/save_step_errors", batch_id, list(last), encoded)
