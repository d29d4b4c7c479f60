"""Limits hold at every instant of a history: never more run, and never more start, than a queue's limits say.

It also knows since when nothing of that kind keeps a job that waits from starting.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field

from conveyor.model.limits import NO_LIMITS, LimitScope
from tests.simulation.plan import JobsById

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conveyor.model.limits import QueueLimits, RateLimit
    from conveyor.model.locks import LockToken
    from tests.simulation.history import Event, History
    from tests.simulation.plan import Plan, PlannedJob

__all__ = ["LimitRules"]

_Key: TypeAlias = tuple[LimitScope, str]
# Times are floats here, and whole microseconds in the store.
ALMOST: Final = 1e-4
# How long starts that were counted under other limits may still count: what the largest bucket takes to be empty.
MEMORY_SECONDS: Final = 15.0
_ENDS: Final = ("settled", "released", "reclaimed", "cancelled")


@define
class _Rate:
    """What started: when, and how full a bucket is."""

    starts: list[float] = field(factory=list)
    level: float = 0.0
    level_at: float = 0.0

    def room_at(self, limiter: RateLimit, now: float) -> float:
        per = limiter.per.total_seconds()
        if limiter.burst is not None:
            surplus = self._level(limiter, now) + 1 - limiter.burst
            return now + max(surplus, 0.0) * per / limiter.max
        recent = [at for at in self.starts if at + per > now]
        return recent[len(recent) - limiter.max] + per if len(recent) >= limiter.max else now

    def start(self, limiter: RateLimit, now: float) -> None:
        self.level, self.level_at = self._level(limiter, now) + 1, now
        self.starts.append(now)

    def _level(self, limiter: RateLimit, now: float) -> float:
        return max(0.0, self.level - (now - self.level_at) * limiter.max / limiter.per.total_seconds())


@define
class _Queue:
    """One queue: its limits, what runs and what started in it."""

    limits: QueueLimits = NO_LIMITS
    sure_from: float = 0.0
    active: set[tuple[str, LockToken | None]] = field(factory=set)
    rates: dict[_Key, _Rate] = field(factory=lambda: defaultdict(_Rate))


class LimitRules:
    """Hears every event in order."""

    def __init__(self, plan: Plan, history: History, report: Callable[[Event, str], None]) -> None:
        self._jobs = JobsById(plan)
        self._history = history
        self._report = report
        self._queues: dict[str, _Queue] = defaultdict(_Queue)
        self._room_since: dict[str, float] = {}
        self._waiting: set[str] = set()

    def room_since(self, job_id: str) -> float:
        """Return since when, or from when on, a job that waits may start; infinite: once another run has ended."""
        return self._room_since.get(job_id, 0.0)

    def hear(self, event: Event) -> None:
        """Take the next event."""
        follow = getattr(self, f"_on_{event.kind}", None)
        if follow is not None:
            follow(event)
        elif event.kind in _ENDS:
            self._end(event)
        for job_id in self._waiting:
            self._see_room(job_id, event.at)

    def _on_limited(self, event: Event) -> None:
        queue_name, number = event.detail.split()
        queue = self._queues[queue_name]
        if queue.limits != NO_LIMITS:
            queue.sure_from = event.at + MEMORY_SECONDS
        queue.limits = self._history.limits[int(number)]
        queue.rates.clear()

    def _on_waits(self, event: Event) -> None:
        self._waiting.add(event.job_id)

    def _on_taken(self, event: Event) -> None:
        self._waiting.discard(event.job_id)
        self._room_since.pop(event.job_id, None)

    def _on_fetched(self, event: Event) -> None:
        job = self._jobs[event.job_id]
        queue = self._queues[job.queue_name]
        if (event.job_id, event.token) in queue.active:
            return  # the same fetch, asked again
        for (scope, key), most in _concurrencies(queue.limits, job):
            running = self._count(queue, scope, key)
            if running >= most:
                self._report(event, f"started beside {running} others, where {scope} {key} may run {most}")
        for (scope, key), limiter in _rates(queue.limits, job):
            rate = queue.rates[scope, key]
            if (room_at := rate.room_at(limiter, event.at)) > event.at + ALMOST:
                self._report(event, f"started {room_at - event.at:.3f} s before {scope} {key} had room")
            rate.start(limiter, event.at)
        queue.active.add((event.job_id, event.token))

    def _end(self, event: Event) -> None:
        active = self._queues[self._jobs[event.job_id].queue_name].active
        for run in [run for run in active if run[0] == event.job_id and event.token in (None, run[1])]:
            active.discard(run)

    def _count(self, queue: _Queue, scope: LimitScope, key: str) -> int:
        jobs = (self._jobs[job_id] for job_id, _ in queue.active)
        return sum(_key_of(job, scope) == key for job in jobs)

    def _see_room(self, job_id: str, now: float) -> None:
        job = self._jobs[job_id]
        queue = self._queues[job.queue_name]
        if queue.limits == NO_LIMITS:
            return
        room_at = max(self._room_at(queue, job, now), queue.sure_from)
        if room_at > now or self._room_since.get(job_id, math.inf) > now:
            self._room_since[job_id] = room_at

    def _room_at(self, queue: _Queue, job: PlannedJob, now: float) -> float:
        if any(self._count(queue, *key) >= most for key, most in _concurrencies(queue.limits, job)):
            return math.inf
        return max((queue.rates[key].room_at(limiter, now) for key, limiter in _rates(queue.limits, job)), default=now)


def _key_of(job: PlannedJob, scope: LimitScope) -> str:
    if scope is LimitScope.QUEUE:
        return ""
    return job.name if scope is LimitScope.NAME else job.group or ""


def _concurrencies(limits: QueueLimits, job: PlannedJob) -> Iterator[tuple[_Key, int]]:
    if limits.max_global_concurrency is not None:
        yield (LimitScope.QUEUE, ""), limits.max_global_concurrency
    if limits.group is not None and limits.group.concurrency is not None and job.group:
        yield (LimitScope.GROUP, job.group), limits.group.concurrency
    named = limits.names.get(job.name)
    if named is not None and named.concurrency is not None:
        yield (LimitScope.NAME, job.name), named.concurrency


def _rates(limits: QueueLimits, job: PlannedJob) -> Iterator[tuple[_Key, RateLimit]]:
    if limits.limiter is not None:
        key = {None: "", "name": f"name {job.name}", "group": f"group {job.group or ''}"}[limits.limiter.key]
        yield (LimitScope.QUEUE, key), limits.limiter
    if limits.group is not None and limits.group.limiter is not None and job.group:
        yield (LimitScope.GROUP, job.group), limits.group.limiter
    named = limits.names.get(job.name)
    if named is not None and named.limiter is not None:
        yield (LimitScope.NAME, job.name), named.limiter
