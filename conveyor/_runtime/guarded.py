"""Guarded queues: those of a worker that have limits or groups, as far as it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conveyor.model.job import JobData

__all__ = ["GuardedQueues"]


class GuardedQueues:
    """What the loops of a worker know of limits. Nothing here waits.

    Attributes:
        names: the queues with limits or groups; nothing is prefetched from them.
        limited: those with limits.
        has_news: jobs came since it was last taken note of what the store says.
        on_dry: called when a fetch from one of those brought less than was wanted.
    """

    def __init__(self) -> None:
        """Know of none."""
        self.names: frozenset[str] = frozenset()
        self.limited: frozenset[str] = frozenset()
        self.has_news = False
        self.on_dry: Callable[[], None] = lambda: None

    def learn(self, names: Iterable[str], limited: Iterable[str]) -> None:
        """Take note of what the store says."""
        self.names, self.limited = frozenset(names), frozenset(limited)

    def note_jobs(self, jobs: Sequence[JobData]) -> None:
        """Take note of the queues from which jobs with groups came, and that any came."""
        self.has_news = self.has_news or bool(jobs)
        grouped = {job.queue_name for job in jobs if job.options.group is not None}
        if not grouped <= self.names:
            self.names |= grouped

    def note_dry(self, queue_names: Sequence[str]) -> None:
        """Fetches brought less than was wanted: where a queue has limits, it may be because of them."""
        if not self.limited.isdisjoint(queue_names):
            self.on_dry()
