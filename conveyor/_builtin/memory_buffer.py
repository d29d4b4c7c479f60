"""A buffer storage in this process's memory, for tests and for jobs that may be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import NewJob

__all__ = ["InMemoryJobBufferStorageStrategy"]


class InMemoryJobBufferStorageStrategy:
    """Keeps buffered jobs in memory: they are lost when the process stops, and other processes do not see them.

    Attributes:
        buffer_storage: the jobs by the id of their buffer, in the order in which they came.
    """

    def __init__(self) -> None:
        """Begin with no jobs."""
        self.buffer_storage: dict[str, list[NewJob]] = {}

    async def init(self, injector: Injector, /) -> None:
        """Open nothing."""

    async def destroy(self) -> None:
        """Keep what is left: whoever holds the strategy may look at it."""

    @property
    def is_durable(self) -> bool:
        """Whether jobs are there after the process stopped."""
        return False

    async def add(self, buffer_id: str, job: NewJob, /) -> NewJob:
        """Keep one job."""
        self.buffer_storage.setdefault(buffer_id, []).append(job)
        return job

    async def buffer_size(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, int]:
        """Return how many jobs there are in each buffer."""
        return {id: len(jobs) for id, jobs in self.buffer_storage.items() if not buffer_ids or id in buffer_ids}

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        """Clear buffers, and return what was in them."""
        wanted = [id for id in self.buffer_storage if not buffer_ids or id in buffer_ids]
        return {id: self.buffer_storage.pop(id) for id in wanted}
