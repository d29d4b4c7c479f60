"""Guards: the limits and groups of one queue of the memory store, made with its first limit or grouped job."""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from attrs import Factory, define

from conveyor._builtin.choosing import UNGROUPED
from conveyor._builtin.memory.lines import ReadyLine
from conveyor.model.limits import NO_LIMITS, LimitScope
from conveyor.model.rates import bucket_level, bucket_room_at, bucket_use, next_turn, window_room_at
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable
    from conveyor.model.limits import QueueLimits, RateLimit

__all__ = ["GroupRecord", "Guard", "Rate"]


@define(eq=False)
class GroupRecord:
    """A group of a queue, with its waiting jobs by name.

    Attributes:
        lines: the waiting jobs by name, suspects aside.
        at: where it stands in the round.
        is_in_round: whether it has turns.
        is_parked: whether its turns are passed over until it has room.
    """

    id: str
    lines: dict[str, ReadyLine]
    at: int = 0
    is_in_round: bool = False
    is_parked: bool = False

    def has_waiting(self) -> bool:
        """Return whether a job of it waits."""
        return any(self.lines.values())


@define(eq=False)
class Rate:
    """What started under one rate: in a window each start is remembered, a bucket has a level."""

    level: int = 0
    at: int = 0
    starts: deque[tuple[int, int]] = Factory(deque)
    free_at: int = 0

    def use(self, limiter: RateLimit, now: int) -> int:
        """Forget what no longer counts, and return how much is used."""
        if limiter.burst is not None:
            self.level, self.at = bucket_level(self.level, self.at, limiter, now), now
            return bucket_use(self.level, limiter)
        while self.starts and self.starts[0][0] + limiter.per_micros <= now:
            self.level -= self.starts.popleft()[1]
        return self.level

    def room_at(self, limiter: RateLimit, weight: int, now: int) -> int:
        """Return from when on such a start has room."""
        self.use(limiter, now)
        if limiter.burst is not None:
            return bucket_room_at(self.level, limiter, weight, now)
        return window_room_at(self.starts, self.level, limiter, weight, now)

    def charge(self, limiter: RateLimit, weight: int, now: int) -> None:
        """Count a start."""
        if limiter.burst is not None:
            self.level += weight * limiter.per_micros
            return
        if self.starts and self.starts[-1][0] == now:
            weight_so_far = self.starts.pop()[1]
            self.starts.append((now, weight_so_far + weight))
        else:
            self.starts.append((now, weight))
        self.level += weight


class Guard:
    """What limits and groups need to know of a queue.

    Attributes:
        limits: what holds.
        groups: those that had a waiting job, and the jobs without a group.
        at: where the round stands.
        active: how many jobs run, by scope and key.
        rates: what started, by scope and key.
    """

    def __init__(self, queue: QueueTable) -> None:
        self.limits: QueueLimits = NO_LIMITS
        self.groups: dict[str, GroupRecord] = {UNGROUPED: GroupRecord(UNGROUPED, queue.ready)}
        self.at = 0
        self.active: Counter[tuple[LimitScope, str]] = Counter()
        self.rates: dict[tuple[LimitScope, str], Rate] = {}
        self._turns: list[tuple[int, str]] = []
        self._freed: list[tuple[int, str]] = []
        for record in queue.by_state[JobState.ACTIVE].values():
            self.note_start(record)

    def group(self, group_id: str) -> GroupRecord:
        """Return the group, made where it was not known."""
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = GroupRecord(group_id, {})
        return group

    def push(self, record: JobRecord, group_id: str) -> None:
        """Let a job of a group wait."""
        group = self.group(group_id)
        line = group.lines.get(record.name)
        if line is None:
            line = group.lines[record.name] = ReadyLine()
        line.push(record)
        self.join(group)

    def join(self, group: GroupRecord) -> None:
        """Give a group turns that has a waiting job."""
        if not group.is_in_round:
            group.is_in_round, group.at = True, self.at
            self._push_turn(group)

    def note_start(self, record: JobRecord) -> None:
        """Count a run."""
        self._count(record, 1)

    def note_end(self, record: JobRecord) -> None:
        """Count a run no more; its group may have its turns again."""
        self._count(record, -1)
        group = None if record.options.group is None else self.groups.get(record.options.group.id)
        if group is not None and group.is_parked:
            self._unpark(group)

    def unpark_all(self) -> None:
        """Let every group have its turns again: other limits hold now."""
        for group in self.groups.values():
            if group.is_parked:
                self._unpark(group)
        self._freed.clear()

    def unpark_freed(self, now: int) -> None:
        """Let groups have their turns again that only waited for this time."""
        while self._freed and self._freed[0][0] <= now:
            group = self.groups.get(heappop(self._freed)[1])
            if group is not None and group.is_parked:
                self._unpark(group)

    def next_free_at(self, now: int) -> int | None:
        """Return the first time that a job waits for."""
        while self._freed and not self._is_parked(self._freed[0][1]):
            heappop(self._freed)
        times = [rate.free_at for rate in self.rates.values() if rate.free_at > now]
        return min(times + [free_at for free_at, _ in self._freed[:1]], default=None)

    def next_turn(self) -> GroupRecord | None:
        """Return the group whose turn it is."""
        while self._turns:
            at, group_id = self._turns[0]
            group = self.groups.get(group_id)
            if group is not None and group.is_in_round and not group.is_parked and group.at == at:
                return group
            heappop(self._turns)
        return None

    def serve(self, group: GroupRecord, weight: int) -> None:
        """Move the group on whose turn it is, and the round with it."""
        self.at = max(self.at, group.at)
        group.at = next_turn(self.at, weight)
        heapreplace(self._turns, (group.at, group.id))

    def set_aside(self) -> None:
        """Take the group out of the turns whose turn it is; see `put_back`."""
        heappop(self._turns)

    def put_back(self, group: GroupRecord) -> None:
        """Give turns to a group again that was set aside."""
        self._push_turn(group)

    def leave(self, group: GroupRecord) -> None:
        """Take the group out of the round whose turn it is."""
        heappop(self._turns)
        self.at = max(self.at, group.at)
        group.is_in_round = False
        if group.id != UNGROUPED:
            del self.groups[group.id]

    def park(self, group: GroupRecord, free_at: int | None) -> None:
        """Pass over the turns of the group whose turn it is."""
        heappop(self._turns)
        group.is_parked = True
        if free_at is not None:
            heappush(self._freed, (free_at, group.id))

    def _is_parked(self, group_id: str) -> bool:
        group = self.groups.get(group_id)
        return group is not None and group.is_parked

    def _unpark(self, group: GroupRecord) -> None:
        group.is_parked = False
        self._push_turn(group)

    def _push_turn(self, group: GroupRecord) -> None:
        heappush(self._turns, (group.at, group.id))

    def _count(self, record: JobRecord, change: int) -> None:
        for key in _keys(record):
            self.active[key] += change
            if not self.active[key]:
                del self.active[key]


def _keys(record: JobRecord) -> tuple[tuple[LimitScope, str], ...]:
    keys = ((LimitScope.QUEUE, ""), (LimitScope.NAME, record.name))
    group = record.options.group
    return keys if group is None else (*keys, (LimitScope.GROUP, group.id))
