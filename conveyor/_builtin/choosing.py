"""Which jobs of a queue with limits or groups come next: one way to choose, for the stores of this room.

Groups take turns by start-time fair queuing (see `conveyor.model.rates`). A group joins the round with its first
waiting job, where the round stands, and leaves it when its turn comes and nothing of it waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from attrs import frozen

from conveyor.model.limits import LimitScope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from conveyor.model.limits import QueueLimits, RateLimit
    from conveyor.model.queries import Want

__all__ = ["UNGROUPED", "Chooser", "Ledger", "Obstacle", "Round"]

# The group of the jobs without one.
UNGROUPED: Final = ""

J = TypeVar("J")


class Ledger(Protocol):
    """What runs in a queue, and what started in it: what limits are held against."""

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run of the queue, of this name or of this group."""
        ...

    def room_at(self, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> int | None:
        """Return from when on a start of this weight has room, in microseconds; None: it has room now."""
        ...

    def charge(self, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> None:
        """Count a start."""
        ...


class Round(Protocol[J]):
    """The groups of a queue that have jobs waiting, in the order of their turns, and the jobs."""

    def next_group(self) -> str | None:
        """Return the group whose turn it is, of those not passed, parked or gone."""
        ...

    def head(self, group_id: str, want: Want, stopped: AbstractSet[str], /) -> tuple[str, J] | None:
        """Return the group's first waiting job that is wanted and whose name is not stopped, after its name."""
        ...

    def take(self, job: J, /) -> None:
        """Let a job run that was the head of its group."""
        ...

    def serve(self, group_id: str, weight: int, /) -> None:
        """Move a group on that had its turn, and the round with it."""
        ...

    def pass_over(self, group_id: str, /) -> None:
        """Let others have their turn until the next fetch; where nothing of the group waits, it leaves the round."""
        ...

    def park(self, group_id: str, free_at: int | None, /) -> None:
        """Let others have their turns until then, or until a run of the group ends (None)."""
        ...


@frozen
class Obstacle:
    """Why a job may not start now: what is held up by it, and until when, where only time makes room."""

    holds: LimitScope
    free_at: int | None = None


class Chooser:
    """Holds what is fetched from one queue, in one step, against its limits."""

    def __init__(self, limits: QueueLimits, ledger: Ledger) -> None:
        self._limits = limits
        self._ledger = ledger
        self._active: dict[tuple[LimitScope, str], int] = {}

    def choose(self, turns: Round[J], want: Want, stopped: Iterable[str]) -> None:
        """Take the next jobs, as many as are wanted and may run; none of a stopped name."""
        names = set(stopped)
        left = want.limit
        while left > 0 and (group_id := turns.next_group()) is not None:
            found = None if group_id in want.exclude_groups else turns.head(group_id, want, names)
            if found is None:
                turns.pass_over(group_id)
                continue
            name, job = found
            obstacle = self.obstacle(name, group_id)
            if obstacle is None:
                self.start(name, group_id)
                turns.take(job)
                turns.serve(group_id, self._turns_of(group_id))
                left -= 1
            elif obstacle.holds is LimitScope.QUEUE:
                return
            elif obstacle.holds is LimitScope.NAME:
                names.add(name)
            else:
                turns.park(group_id, obstacle.free_at)

    def obstacle(self, name: str, group_id: str) -> Obstacle | None:
        """Return what keeps a job from starting now; of several, that which holds up the most."""
        for scope, key, most in self._most_active(name, group_id):
            if self._count_active(scope, key) >= most:
                return Obstacle(scope)
        for limiter, scope, key, holds in self._rates(name, group_id):
            room_at = self._ledger.room_at(limiter, scope, key, limiter.weight_of(name))
            if room_at is not None:
                return Obstacle(holds, room_at)
        return None

    def start(self, name: str, group_id: str) -> None:
        """Count a job that starts."""
        for scope, key, _ in self._most_active(name, group_id):
            self._active[scope, key] = self._count_active(scope, key) + 1
        for limiter, scope, key, _ in self._rates(name, group_id):
            self._ledger.charge(limiter, scope, key, limiter.weight_of(name))

    def _turns_of(self, group_id: str) -> int:
        group = self._limits.group
        return 1 if group is None else group.weights.get(group_id, 1)

    def _count_active(self, scope: LimitScope, key: str) -> int:
        count = self._active.get((scope, key))
        return self._ledger.count_active(scope, key) if count is None else count

    def _most_active(self, name: str, group_id: str) -> Iterator[tuple[LimitScope, str, int]]:
        limits = self._limits
        if limits.max_global_concurrency is not None:
            yield LimitScope.QUEUE, "", limits.max_global_concurrency
        if limits.group is not None and limits.group.concurrency is not None and group_id:
            yield LimitScope.GROUP, group_id, limits.group.concurrency
        named = limits.names.get(name)
        if named is not None and named.concurrency is not None:
            yield LimitScope.NAME, name, named.concurrency

    def _rates(self, name: str, group_id: str) -> Iterator[tuple[RateLimit, LimitScope, str, LimitScope]]:
        """Go through the rates of a job: the rate, of which scope, counted under which key, and what it holds up."""
        limits = self._limits
        if limits.limiter is not None:
            key, holds = _counted_apart(limits.limiter, name, group_id)
            yield limits.limiter, LimitScope.QUEUE, key, holds
        if limits.group is not None and limits.group.limiter is not None and group_id:
            yield limits.group.limiter, LimitScope.GROUP, group_id, LimitScope.GROUP
        named = limits.names.get(name)
        if named is not None and named.limiter is not None:
            yield named.limiter, LimitScope.NAME, name, LimitScope.NAME


def _counted_apart(limiter: RateLimit, name: str, group_id: str) -> tuple[str, LimitScope]:
    if limiter.key == "name":
        return name, LimitScope.NAME
    if limiter.key == "group":
        return group_id, LimitScope.GROUP
    return "", LimitScope.QUEUE
