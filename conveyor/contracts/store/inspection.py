"""The inspection facet: looking around for operators over all queues, and changing what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.bulk import ChangeReceipt
    from conveyor.model.error_groups import ErrorGroupFilter, ErrorGroupPage
    from conveyor.model.queries import JobFilter, Page, QueueInfo, StoreStats
    from conveyor.model.states import Command

__all__ = ["InspectionStore"]


class InspectionStore(Protocol):
    """May be slower than the other facets."""

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        ...

    async def get_stats(self, window: timedelta, /) -> StoreStats:
        """Return how large the store is, and how many jobs settled in this time up to now, by each settled state.

        Jobs that are gone again are not counted.
        """
        ...

    async def search_jobs(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Return jobs that match, by id from the highest down, after `cursor`; ids of core grow with time.

        With `oldest_first` it is from the lowest up; a cursor belongs to the order that it was given in.
        Ids are compared by code point, whatever the store's collation; a cursor need not be the id of a job.
        """
        ...

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        ...

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        """Return the groups of the jobs that are failed now, by the fingerprint of their error.

        Those with the latest failure come first; of several at one time, the higher id, by code point. A fingerprint
        is of one queue and one name. A failed job whose error has none is in no group; whatever the store itself
        fails (what stalled too often, what was moved to failed, what waited for a child that failed) has one.
        `cursor` is of `model.error_groups.cursor_after`; a group that fails again meanwhile moves to the front.

        Raises:
            ConfigurationError: the cursor is none.
            CapabilityError: the store has no `has_error_groups`.
        """
        ...

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        """Cancel (with this reason), promote, rerun or remove jobs in one atomic step, as the single verb does.

        Answers in the order of the input. A job that is gone, that does not match (any more), or in whose state the
        command is not legal is left as it is, and never raises. The same call again therefore finds what it has
        done, and skips it.

        Raises:
            ConfigurationError: the command is none of these four.
        """
        ...
