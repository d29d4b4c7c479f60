"""The inspection facet: looking around for operators, over all queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.queries import JobFilter, Page, QueueInfo

__all__ = ["InspectionStore"]


class InspectionStore(Protocol):
    """Reads only; may be slower than the other facets."""

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        ...

    async def search_jobs(self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100) -> Page:
        """Return jobs that match, by id from the highest down, after `cursor`; ids of core grow with time."""
        ...

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        ...
