"""Faults in buffer storages: what is given twice, lost with a flush that dies, or not renewed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor import InMemoryJobBufferStorageStrategy
from conveyor._builtin.store_buffer import StoreBufferStorage
from conveyor.model.buffers.values import FlushPlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor import NewJob
    from conveyor.model.buffers.values import BufferSize, KeptJob
    from conveyor.model.queries import AddReceipt


class SelectsThenDeletes(InMemoryJobBufferStorageStrategy):
    """Gives out what is there, lets others in, and clears what is there then."""

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        found = {id: [*jobs] for id, jobs in self.buffer_storage.items() if not buffer_ids or id in buffer_ids}
        await checkpoint()
        for id in found:
            self.buffer_storage.pop(id, None)
        return found


class TakenForGood(StoreBufferStorage):
    """Removes what it gives out, and puts it back where it is told to: who dies tells nobody."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[str, Sequence[KeptJob]]] = {}

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        kept = await super().take(buffer_id, token, duration, limit=limit)
        if kept:
            await super().commit(token, FlushPlan([one.job.id for one in kept], (), {}))
            self.taken[token] = buffer_id, kept
        return kept

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        self.taken.pop(token, None)
        return await self._store.jobs.save_jobs(plan.jobs)

    async def release(self, token: str, /) -> None:
        buffer_id, kept = self.taken.pop(token, ("", ()))
        if kept:
            await self.add_many(buffer_id, [one.job for one in kept])


class RemovesThenAdds(StoreBufferStorage):
    """Commits in two steps."""

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        await super().commit(token, FlushPlan(plan.taken, (), plan.merged))
        return await self._store.jobs.save_jobs(plan.jobs)


class NotRenewed(StoreBufferStorage):
    """Gives a token what it took for as long as the first time, and no longer."""

    def __init__(self) -> None:
        self.taken: dict[str, Sequence[KeptJob]] = {}

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        if token not in self.taken:
            self.taken[token] = await super().take(buffer_id, token, duration, limit=limit)
        return self.taken[token]


class TooYoung(StoreBufferStorage):
    """Says of jobs that they came later than they did."""

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        sizes = await super().get_sizes()
        return {id: evolve(size, oldest_at=size.oldest_at + timedelta(hours=1)) for id, size in sizes.items()}
