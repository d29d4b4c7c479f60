"""The default buffer storage: the app's store keeps the jobs, beside its queues."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.contracts.store import Store
from conveyor.errors import CapabilityError
from conveyor.model.buffers.values import FlushPlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.store import BufferStore
    from conveyor.contracts.strategy import Injector
    from conveyor.model.buffers.values import BufferPlace, BufferSize, KeptJob
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["StoreBufferStorage"]

_CLEARING: Final = timedelta(minutes=1)
_CLEARED_AT_ONCE: Final = 1000


class StoreBufferStorage:
    """A `TransactionalBufferStorage` over the app's store: nothing is lost, and nothing added twice."""

    _store: Store

    async def init(self, injector: Injector, /) -> None:
        """Take the store."""
        self._store = injector.get(Store)

    async def destroy(self) -> None:
        """Close nothing: the store is the app's."""

    @property
    def is_durable(self) -> bool:
        """Whether jobs are there after the process stopped."""
        return self._store.capabilities.is_durable

    async def add(self, buffer_id: str, job: NewJob, /) -> NewJob:
        """Keep one job."""
        await self._buffers.add(buffer_id, (job,))
        return job

    async def add_many(
        self, buffer_id: str, jobs: Sequence[NewJob], /, *, connection: object = None
    ) -> Sequence[AddReceipt]:
        """Keep several jobs in one step."""
        if connection is None:
            return await self._buffers.add(buffer_id, jobs)
        return await self._buffers.add_in(connection, buffer_id, jobs)

    async def buffer_size(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, int]:
        """Return how many jobs there are in each buffer."""
        sizes = await self.get_sizes()
        return {buffer_id: size.jobs for buffer_id, size in sizes.items() if not buffer_ids or buffer_id in buffer_ids}

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        """Clear buffers and return what was in them, as the seed's strategy does; core takes and commits instead."""
        sizes = await self.buffer_size(buffer_ids)
        return {buffer_id: await self._clear(buffer_id, count) for buffer_id, count in sizes.items()}

    async def _clear(self, buffer_id: str, count: int) -> Sequence[NewJob]:
        cleared: list[NewJob] = []
        while len(cleared) < count:
            token = secrets.token_hex(16)
            kept = await self.take(buffer_id, token, _CLEARING, limit=min(_CLEARED_AT_ONCE, count - len(cleared)))
            if not kept:
                break
            await self.commit(token, FlushPlan([one.job.id for one in kept], (), {}))
            cleared += [one.job for one in kept]
        return cleared

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        """Return how full each buffer is."""
        return await self._buffers.get_sizes()

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        """Take the oldest jobs of a buffer."""
        return await self._buffers.take(buffer_id, token, duration, limit=limit)

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        """Remove what was taken and add what it was reduced to."""
        return await self._buffers.commit(token, plan)

    async def release(self, token: str, /) -> None:
        """Let others take what this token took."""
        await self._buffers.release(token)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        """End a job that is in a buffer as cancelled."""
        return await self._buffers.cancel_job(job_id, reason)

    async def remove_job(self, job_id: str, /) -> bool:
        """Delete a job that is in a buffer."""
        return await self._buffers.remove_job(job_id)

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        """Return where jobs went that were added to buffers."""
        return {} if self._store.buffers is None else await self._store.buffers.find_places(job_ids)

    async def find_ids(self, beginning: str, /, *, limit: int) -> Sequence[str]:
        """Return ids that begin so of jobs that were added to buffers."""
        return () if self._store.buffers is None else await self._store.buffers.find_ids(beginning, limit=limit)

    @property
    def _buffers(self) -> BufferStore:
        if self._store.buffers is None:
            raise CapabilityError(self._store.name, "buffers", 'buffer_storage="store"')
        return self._store.buffers
