"""What the reference makes of limits: which of the jobs that wait may start, and how far each limit is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from conveyor.model.limits import NO_LIMITS, LimitKind, LimitScope
from conveyor.model.states import JobState
from conveyor.testing.conformance.machine.flowing import ReferenceFlows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from conveyor.model.limits import QueueLimits
    from conveyor.testing.conformance.machine.tables import ReferenceJob

__all__ = ["ReferenceLimits", "UsageView"]

# Scope, key, kind, how much is used, of how much, and how many wait.
UsageView: TypeAlias = tuple[LimitScope, str, LimitKind, int, int, int]


class ReferenceLimits(ReferenceFlows):
    """Limits by queue, and when jobs started under a rate, of which each queue has the same or none. No groups."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.limits: dict[str, QueueLimits] = {}
        self.starts: dict[str, list[datetime]] = {}

    def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Let these limits hold; what started is forgotten where there is no rate."""
        self.limits[queue] = limits
        if limits.limiter is None:
            self.starts.pop(queue, None)

    def start(self, queue: str, jobs: Sequence[ReferenceJob], most: int) -> list[ReferenceJob]:
        """Return the first of the jobs that may start, at most so many, and count those starts."""
        limits = self.limits.get(queue, NO_LIMITS)
        started: list[ReferenceJob] = []
        for job in jobs:
            running = [*self.select(queue, JobState.ACTIVE), *started]
            if len(started) == most or self._is_full(queue, limits, len(running)):
                break
            named = limits.names.get(job.new.name)
            most_named = None if named is None else named.concurrency
            if most_named is None or sum(one.new.name == job.new.name for one in running) < most_named:
                started.append(job)
                if limits.limiter is not None:
                    self.starts.setdefault(queue, []).append(self.now())
        return started

    def usages(self, queue: str) -> list[UsageView]:
        """Return how far each limit of a queue is used."""
        limits = self.limits.get(queue, NO_LIMITS)
        running, waiting = self.select(queue, JobState.ACTIVE), self.select(queue, JobState.WAITING)
        told: list[UsageView] = []
        most = limits.max_global_concurrency
        if most is not None:
            told.append((LimitScope.QUEUE, "", LimitKind.CONCURRENCY, len(running), most, len(waiting)))
        if limits.limiter is not None:
            used = self._count_starts(queue, limits)
            told.append((LimitScope.QUEUE, "", LimitKind.RATE, used, limits.limiter.max, len(waiting)))
        for name, named in limits.names.items():
            if named.concurrency is not None:
                counts = [sum(job.new.name == name for job in jobs) for jobs in (running, waiting)]
                told.append((LimitScope.NAME, name, LimitKind.CONCURRENCY, counts[0], named.concurrency, counts[1]))
        return sorted(told)

    def _is_full(self, queue: str, limits: QueueLimits, running: int) -> bool:
        most = limits.max_global_concurrency
        if most is not None and running >= most:
            return True
        return limits.limiter is not None and self._count_starts(queue, limits) >= limits.limiter.max

    def _count_starts(self, queue: str, limits: QueueLimits) -> int:
        limiter = limits.limiter
        starts = self.starts.get(queue, [])
        return 0 if limiter is None else sum(at + limiter.per > self.now() for at in starts)
