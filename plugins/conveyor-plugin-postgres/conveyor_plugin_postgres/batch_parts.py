"""The batch parts facet of the PostgreSQL store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.batches.parts import check_dividing, divided, part_assigned, part_ended, part_started
from conveyor_plugin_postgres.batch_part_rows import (
    add_work,
    find_part,
    read_locked,
    read_parts,
    write_part,
    write_standing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.batches.parts import BatchPart, NewBatchPart, PartStart
    from conveyor.model.job import NewJob
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresBatchParts"]


class PostgresBatchParts:
    """Parts of batch jobs. See `conveyor.contracts.store.batch_parts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def divide_batch(self, batch_id: str, run: str, parts: Sequence[NewBatchPart], /) -> Sequence[BatchPart]:
        """Keep the parts of a batch job, and add their jobs."""
        return await self._database.write(_divide, batch_id, run, parts)

    async def get_parts(self, batch_id: str, /) -> Sequence[BatchPart]:
        """Return its parts, by number."""
        return await self._database.read(read_parts, batch_id)

    async def assign_part(self, batch_id: str, run: str, number: int, job: NewJob, /) -> BatchPart:
        """Let another job work for a part, and add that."""
        return await self._database.write(_assign, batch_id, run, number, job)

    async def start_part(self, batch_id: str, start: PartStart, /) -> BatchPart:
        """Begin a run of a part."""
        return await self._database.write(_start, batch_id, start)

    async def end_part(self, batch_id: str, number: int, run: str, /, *, error: str | None = None) -> BatchPart:
        """End a run of a part."""
        return await self._database.write(_end, batch_id, number, run, error)


async def _divide(part: Part, batch_id: str, run: str, new: Sequence[NewBatchPart]) -> Sequence[BatchPart]:
    batch, now = await read_locked(part, batch_id)
    check_dividing(batch, run)
    if batch.parts:
        return await read_parts(part, batch_id)
    after, made = divided(batch, new, now)
    columns = zip(*((one.number, one.span, one.job_id) for one in made), strict=True)
    await part.execute("batch_parts/divide_batch", batch_id, *map(list, columns))
    await write_standing(part, after)
    await add_work(part, [one.job for one in new if one.job is not None])
    return made


async def _assign(part: Part, batch_id: str, run: str, number: int, job: NewJob) -> BatchPart:
    batch, _ = await read_locked(part, batch_id)
    check_dividing(batch, run)
    before = await find_part(part, batch_id, number)
    after = part_assigned(before, job)
    if after is not before:
        await write_part(part, batch_id, after)
        await add_work(part, [job])
    return after


async def _start(part: Part, batch_id: str, start: PartStart) -> BatchPart:
    batch, _ = await read_locked(part, batch_id)
    after = part_started(batch, await find_part(part, batch_id, start.number), start)
    await write_part(part, batch_id, after)
    return after


async def _end(part: Part, batch_id: str, number: int, run: str, error: str | None) -> BatchPart:
    before, now = await read_locked(part, batch_id)
    batch, after = part_ended(before, await find_part(part, batch_id, number), run, error, now)
    if batch is not before:
        await write_part(part, batch_id, after)
        await write_standing(part, batch)
    return after
