"""The limits facet: what may run at once and start in a time, and the groups of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.limits import LimitUsage, QueueLimits

__all__ = ["LimitStore"]


class LimitStore(Protocol):
    """Limits are rows of their queue: they survive restarts and hold for every fetch of every process.

    They are held inside `fetch_jobs` and `settle_jobs`: whatever fetches at the same time, never more jobs run, and
    never more start, than a limit says. Runs are counted by the jobs that are active, so whatever ends a run, a crash
    and the reclaim after it included, gives its place back. A start counts when its job is locked, whatever becomes
    of it.

    What is full holds up what it counts together and nothing else: the jobs of a full name or group are passed
    over. A rate with a `key` holds up those of its name or group. A job that is too heavy for what is left of a rate
    holds up the jobs that it is counted with, so lighter ones never overtake it for ever.

    In a queue with limits or groups, the groups take turns, the jobs without one being a group, too: each turn is one
    job, the first of the group in the order of the queue. The round is at the time 0 at first. A group joins it with
    its first waiting job, at the time of the round. The group with the earliest time (and of those, the lowest id, by
    code point) that has a job to give is next: it begins at its time or at the round's, whichever is later, the round
    is at that time then, and the group moves on by a turn divided by its weight. A group of which nothing waits when
    its turn comes leaves the round, which moves on to its time. What was locked for one want comes in the order of
    the queue.
    """

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        """Let these limits hold, and no others; CHANGED is published.

        What runs already is counted and goes on. What started already is counted for a rate that replaces another
        of the same scope, key and kind (window or bucket), as far as the old one remembered it.
        """
        ...

    async def declare_limits(self, queue_name: str, limits: QueueLimits, /) -> QueueLimits:
        """Set those of the limits where the queue has none yet (field by field), and return what holds now."""
        ...

    async def get_limits(self, queue_name: str, /) -> QueueLimits:
        """Return what holds."""
        ...

    async def get_limit_usages(self, queue_name: str, /, *, max_groups: int = 100) -> Sequence[LimitUsage]:
        """Return how far each limit is used: of the queue, of each name that has any, and of those groups (at most so
        many of each limit, by id) of which a job waits or runs, or that used a rate.
        """
        ...

    async def get_guarded_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return those of the queues, in the order given, that have limits, or had a job with a group.

        CHANGED is published when a queue becomes one of them.
        """
        ...

    async def get_next_room_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when a rate of these queues next has room for a job that waits for it, or None.

        It may be sooner than there is room, never later: whoever looks then may ask again.
        """
        ...

    async def get_group_active_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group run."""
        ...

    async def get_waiting_group_count(self, queue_name: str, group_id: str, /) -> int:
        """Return how many jobs of the group wait; delayed ones do not."""
        ...
