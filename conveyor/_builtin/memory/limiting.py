"""Fetching from a queue of the memory store that has limits or groups, and what must be known for it."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from conveyor._builtin.choosing import UNGROUPED, Chooser
from conveyor._builtin.memory.guards import Rate
from conveyor._builtin.memory.lines import place
from conveyor.model.events import NotificationKind
from conveyor.model.limits import LimitScope
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from conveyor._builtin.memory.guards import GroupRecord, Guard
    from conveyor._builtin.memory.lines import Entry, ReadyLine
    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.job import NewJob
    from conveyor.model.limits import RateLimit
    from conveyor.model.queries import Want

__all__ = ["MemoryLedger", "count_waiting_of_group", "guard_queue", "is_admitted", "take_guarded"]

_order: Final = itemgetter(0, 1, 2)


def guard_queue(tables: Tables, queue_name: str) -> Guard:
    """Return the limits and groups of a queue; those who fetch from it hear of it when it had none."""
    queue = tables.queue(queue_name)
    if queue.guard is None:
        tables.notifier.tell(NotificationKind.CHANGED, (queue_name,))
    return queue.guarded()


def is_admitted(tables: Tables, job: NewJob, state: JobState) -> bool:
    """Return whether a job with a group has room there; its queue is known as one with groups then."""
    group = job.options.group
    guard_queue(tables, job.queue_name)
    if group is None or group.max_size is None or state is not JobState.WAITING:
        return True
    return count_waiting_of_group(tables.queue(job.queue_name), group.id) < group.max_size


def count_waiting_of_group(queue: QueueTable, group_id: str) -> int:
    """Return how many jobs of a group wait, suspects included."""
    group = None if queue.guard is None else queue.guard.groups.get(group_id)
    waiting = 0 if group is None else sum(map(len, group.lines.values()))
    suspects = (record for line in queue.suspects.values() for record in line)
    return waiting + sum(_group_id(record) == group_id for record in suspects)


def take_guarded(queue: QueueTable, guard: Guard, want: Want, now: int) -> list[JobRecord]:
    """Take the next jobs from their lines, those that may start, and return them in order."""
    if ALL_NAMES in queue.paused:
        return []
    chooser = Chooser(guard.limits, MemoryLedger(guard, now))
    if want.is_suspect:
        return _take_suspect(queue, chooser, want)
    guard.unpark_freed(now)
    if any(queue.ready.values()):
        guard.join(guard.group(UNGROUPED))
    turns = _Turns(guard)
    try:
        chooser.choose(turns, want, queue.paused)
    finally:
        turns.close()
    return sorted(turns.taken, key=lambda record: _order(place(record, want.lifo)))


def _take_suspect(queue: QueueTable, chooser: Chooser, want: Want) -> list[JobRecord]:
    """Take the first suspect that may start; nobody's turn is changed by that."""
    lines = queue.open_lines(want.job_name, is_suspect=True)
    for record in sorted(
        (record for line in lines for record in line), key=lambda record: _order(place(record, False))
    ):
        group_id = _group_id(record)
        if group_id not in want.exclude_groups and chooser.obstacle(record.name, group_id) is None:
            chooser.start(record.name, group_id)
            record.ticket += 1
            queue.suspects[record.name].forget()
            return [record]
    return []


class MemoryLedger:
    """What runs in a queue and what started, at one moment."""

    def __init__(self, guard: Guard, now: int) -> None:
        self._guard = guard
        self._now = now

    def count_active(self, scope: LimitScope, key: str, /) -> int:
        """Return how many jobs run."""
        return self._guard.active[scope, key]

    def room_at(self, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> int | None:
        """Return from when on a start has room; None: now."""
        rate = self._guard.rates.get((scope, key))
        room_at = self._now if rate is None else rate.room_at(limiter, weight, self._now)
        if rate is None or room_at <= self._now:
            return None
        rate.free_at = room_at
        return room_at

    def charge(self, limiter: RateLimit, scope: LimitScope, key: str, weight: int) -> None:
        """Count a start."""
        rate = self._guard.rates.get((scope, key))
        if rate is None:
            rate = self._guard.rates[scope, key] = Rate(at=self._now)
        rate.use(limiter, self._now)
        rate.charge(limiter, weight, self._now)


class _Turns:
    """The round of one queue during one fetch."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._passed: list[GroupRecord] = []
        self._line: ReadyLine | None = None
        self._lifo = False
        self.taken: list[JobRecord] = []

    def next_group(self) -> str | None:
        """Return the group whose turn it is."""
        group = self._guard.next_turn()
        return None if group is None else group.id

    def head(self, group_id: str, want: Want, stopped: AbstractSet[str], /) -> tuple[str, ReadyLine] | None:
        """Return the first of the heads of the group's lines that may be taken."""
        lines = self._guard.groups[group_id].lines
        best: Entry | None = None
        found: tuple[str, ReadyLine] | None = None
        for name, line in lines.items():
            if name in stopped or want.job_name not in (None, name):
                continue
            head = line.head(want.lifo)
            if head is not None and (best is None or head[:3] < best[:3]):
                best, found = head, (name, line)
        self._lifo = want.lifo
        return found

    def take(self, line: ReadyLine, /) -> None:
        """Take the head of the line."""
        record = line.take(self._lifo)
        if record is not None:
            self.taken.append(record)

    def serve(self, group_id: str, weight: int, /) -> None:
        """Move the group on."""
        self._guard.serve(self._guard.groups[group_id], weight)

    def pass_over(self, group_id: str, /) -> None:
        """Set the group aside; it leaves where nothing waits."""
        group = self._guard.groups[group_id]
        if not group.has_waiting():
            self._guard.leave(group)
            return
        self._guard.set_aside()
        self._passed.append(group)

    def park(self, group_id: str, free_at: int | None, /) -> None:
        """Set the group aside until it has room; the jobs without a group look again at the next fetch."""
        if group_id == UNGROUPED:
            self.pass_over(group_id)
        else:
            self._guard.park(self._guard.groups[group_id], free_at)

    def close(self) -> None:
        """Put back what was set aside."""
        for group in self._passed:
            self._guard.put_back(group)


def _group_id(record: JobRecord) -> str:
    return UNGROUPED if record.options.group is None else record.options.group.id
