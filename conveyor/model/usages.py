"""How far the limits of a queue are used: put together for people, from what a store counts."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from conveyor.model.limits import LimitKind, LimitScope, LimitUsage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from conveyor.model.limits import GroupLimits, NameLimits, QueueLimits, RateLimit

__all__ = ["Counts", "usages"]


class Counts(Protocol):
    """What a store knows of one queue."""

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run of the queue, of this name or of this group."""
        ...

    def count_waiting(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs wait of the queue, of this name or of this group."""
        ...

    def rate_use(self, limiter: RateLimit, scope: LimitScope, key: str, /) -> tuple[int, datetime | None]:
        """Return how much of a rate is used, and when it has room for one more start; None: now."""
        ...

    def rate_keys(self, scope: LimitScope, /) -> Sequence[str]:
        """Return under which keys rates of this scope were used, in order."""
        ...

    def groups(self) -> Sequence[str]:
        """Return the groups of which jobs wait or run, in order."""
        ...


def usages(limits: QueueLimits, counts: Counts, max_groups: int) -> Iterator[LimitUsage]:
    """Go through the limits: those of the queue, of names, of groups."""
    if limits.max_global_concurrency is not None:
        yield _runs(counts, LimitScope.QUEUE, "", limits.max_global_concurrency)
    if limits.limiter is not None:
        yield from _starts(counts, limits.limiter, max_groups)
    for name, named in sorted(limits.names.items()):
        yield from _of_name(counts, name, named)
    if limits.group is not None:
        yield from _of_groups(counts, limits.group, max_groups)


def _of_name(counts: Counts, name: str, named: NameLimits) -> Iterator[LimitUsage]:
    if named.concurrency is not None:
        yield _runs(counts, LimitScope.NAME, name, named.concurrency)
    if named.limiter is not None:
        yield _rate(counts, named.limiter, LimitScope.NAME, name, LimitScope.NAME)


def _of_groups(counts: Counts, group: GroupLimits, most: int) -> Iterator[LimitUsage]:
    if group.concurrency is not None:
        for group_id in islice(counts.groups(), most):
            yield _runs(counts, LimitScope.GROUP, group_id, group.concurrency)
    if group.limiter is not None:
        for group_id in sorted({*counts.groups(), *counts.rate_keys(LimitScope.GROUP)})[:most]:
            yield _rate(counts, group.limiter, LimitScope.GROUP, group_id, LimitScope.GROUP)


def _starts(counts: Counts, limiter: RateLimit, most: int) -> Iterator[LimitUsage]:
    """Go through what the limiter of the queue counts apart."""
    if limiter.key is None:
        yield _rate(counts, limiter, LimitScope.QUEUE, "", LimitScope.QUEUE)
        return
    for key in islice(counts.rate_keys(LimitScope.QUEUE), most):
        yield _rate(counts, limiter, LimitScope.QUEUE, key, LimitScope(limiter.key))


def _runs(counts: Counts, scope: LimitScope, key: str, most: int) -> LimitUsage:
    used, waiting = counts.count_active(scope, key), counts.count_waiting(scope, key)
    return LimitUsage(scope, key, LimitKind.CONCURRENCY, used, most, waiting)


def _rate(counts: Counts, limiter: RateLimit, kept_as: LimitScope, key: str, scope: LimitScope) -> LimitUsage:
    used, free_at = counts.rate_use(limiter, kept_as, key)
    return LimitUsage(scope, key, LimitKind.RATE, used, limiter.capacity, counts.count_waiting(scope, key), free_at)
