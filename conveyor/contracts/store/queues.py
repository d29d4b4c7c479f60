"""The queues facet: whole queues, paused, counted, listed, cleaned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from conveyor.model.job import JobData
    from conveyor.model.states import JobState

__all__ = ["QueueStore"]


class QueueStore(Protocol):
    """A queue exists as soon as a job was added to it or something in it was paused."""

    async def pause_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Fetch no more jobs of this name, or of the whole queue for ``__all__``. Survives restarts."""
        ...

    async def resume_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Undo `pause_job_name` for exactly this name."""
        ...

    async def get_paused_job_names(self, queue_name: str, /) -> frozenset[str]:
        """Return what is paused; ``__all__`` is the queue."""
        ...

    async def get_active_count(self, queue_name: str, /) -> int:
        """Return how many jobs run."""
        ...

    async def count_jobs(self, queue_name: str, state: JobState, /) -> int:
        """Return how many jobs are in this state."""
        ...

    async def get_job_counts(self, queue_name: str, /) -> Mapping[JobState, int]:
        """Return the counts of all seven states, zeros included."""
        ...

    async def list_jobs(
        self, queue_name: str, state: JobState, /, *, start: int = 0, end: int = 100
    ) -> Sequence[JobData]:
        """Return jobs start (inclusive) to end (exclusive): settled ones by the time they ended, newest first;
        others in the order in which they were added (a rerun job counts as added anew).
        """
        ...

    async def drain(self, queue_name: str, /) -> int:
        """Remove all waiting, delayed and waiting_children jobs with their logs; return how many."""
        ...

    async def clean(self, queue_name: str, state: JobState, grace: timedelta, /, *, limit: int = 1000) -> int:
        """Remove settled jobs of this state that ended longer ago than `grace`; return how many (at most limit).

        Raises:
            ConfigurationError: the state is not a settled one.
        """
        ...

    async def obliterate(self, queue_name: str, /, *, force: bool = False) -> int:
        """Remove every job of the queue, its pauses and groups; return how many jobs.

        Its limits stay, with what was counted for its rates: workers that run rely on what they declared. A queue
        without limits is known no more.

        Raises:
            InvalidJobStateError: a job is active and `force` is False; nothing was removed.
        """
        ...

    async def retry_jobs(self, queue_name: str, state: JobState, /, *, limit: int = 1000) -> int:
        """Rerun settled jobs of this state (see ``rerun_job``), oldest first; return how many (at most limit).

        Raises:
            ConfigurationError: the state is not a settled one.
        """
        ...

    async def promote_jobs(self, queue_name: str, /, *, limit: int = 1000) -> int:
        """Promote delayed jobs by hand (see ``promote_job``), soonest first; return how many (at most limit)."""
        ...
