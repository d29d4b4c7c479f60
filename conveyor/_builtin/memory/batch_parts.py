"""The batch parts facet of the memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.memory.batch_records import add_work, find_part, find_record
from conveyor.model.batches.parts import check_dividing, divided, part_assigned, part_ended, part_started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.batches.parts import BatchPart, NewBatchPart, PartStart
    from conveyor.model.job import NewJob

__all__ = ["MemoryBatchParts"]


class MemoryBatchParts:
    """Parts of batch jobs. See `conveyor.contracts.store.batch_parts`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def divide_batch(self, batch_id: str, run: str, parts: Sequence[NewBatchPart], /) -> Sequence[BatchPart]:
        """Keep the parts of a batch job, and add their jobs."""
        record = find_record(self._tables, batch_id)
        check_dividing(record.batch, run)
        if not record.parts:
            after, made = divided(record.batch, parts, self._tables.now())
            add_work(self._tables, [part.job for part in parts if part.job is not None])
            record.batch = after
            record.parts = {part.number: part for part in made}
        return tuple(record.parts.values())

    async def get_parts(self, batch_id: str, /) -> Sequence[BatchPart]:
        """Return its parts, by number."""
        record = self._tables.batches.get(batch_id)
        return () if record is None else tuple(record.parts.values())

    async def assign_part(self, batch_id: str, run: str, number: int, job: NewJob, /) -> BatchPart:
        """Let another job work for a part, and add that."""
        record = find_record(self._tables, batch_id)
        check_dividing(record.batch, run)
        before = find_part(record, number)
        after = part_assigned(before, job)
        if after is not before:
            add_work(self._tables, [job])
            record.parts[number] = after
        return after

    async def start_part(self, batch_id: str, start: PartStart, /) -> BatchPart:
        """Begin a run of a part."""
        record = find_record(self._tables, batch_id)
        after = record.parts[start.number] = part_started(record.batch, find_part(record, start.number), start)
        return after

    async def end_part(self, batch_id: str, number: int, run: str, /, *, error: str | None = None) -> BatchPart:
        """End a run of a part."""
        record = find_record(self._tables, batch_id)
        now = self._tables.now()
        record.batch, after = part_ended(record.batch, find_part(record, number), run, error, now)
        record.parts[number] = after
        return after
