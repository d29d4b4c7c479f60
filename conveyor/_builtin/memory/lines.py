"""Lines: jobs in order, where leaving from the middle costs nothing until the gaps dominate."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conveyor._builtin.memory.records import JobRecord

__all__ = ["Entry", "Line", "ReadyLine", "place"]

# Three ascending keys, the record's ticket when it came, and the record. An entry whose record has another
# ticket by now is stale: the record left, and may have come back under another entry.
Entry: TypeAlias = "tuple[int, int, int, int, JobRecord]"

# Below this many stale entries tidying up is not worth it.
_SLACK: Final = 64
# Farther than any date in microseconds: sets the jobs with the option lifo before the others.
_FAR: Final = 2**60


class Line:
    """Entries in ascending order.

    Most jobs come in the order in which they leave, so what comes in order is kept in a queue, at a constant
    cost; the rest goes to a heap.
    """

    __slots__ = ("_heap", "_run", "length")

    def __init__(self) -> None:
        self._run: deque[Entry] = deque()
        self._heap: list[Entry] = []
        self.length = 0

    def __iter__(self) -> Iterator[JobRecord]:
        """Go through the records that are in line, in no order."""
        for entries in (self._run, self._heap):
            yield from (entry[4] for entry in entries if entry[4].ticket == entry[3])

    def push(self, entry: Entry) -> None:
        """Let a record come."""
        run = self._run
        if not run or run[-1] < entry:
            run.append(entry)
        else:
            heappush(self._heap, entry)
        self.length += 1

    def head(self) -> Entry | None:
        """Return the first entry, or None where the line is empty."""
        run, heap = self._run, self._heap
        while run and run[0][4].ticket != run[0][3]:
            run.popleft()
        while heap and heap[0][4].ticket != heap[0][3]:
            heappop(heap)
        if heap and (not run or heap[0] < run[0]):
            return heap[0]
        return run[0] if run else None

    def take(self) -> JobRecord | None:
        """Let the first record leave and return it, or None; its ticket is no longer good."""
        run, heap = self._run, self._heap
        while run or heap:
            entry = heappop(heap) if heap and (not run or heap[0] < run[0]) else run.popleft()
            record = entry[4]
            if record.ticket == entry[3]:
                record.ticket += 1
                self.length -= 1
                return record
        return None

    def forget(self) -> None:
        """Note that a record left by giving up its ticket; its entry goes when it comes up, or in bulk."""
        self.length -= 1
        if len(self._run) + len(self._heap) > 2 * self.length + _SLACK:
            self._tidy()

    def _tidy(self) -> None:
        self._run = deque(entry for entry in self._run if entry[4].ticket == entry[3])
        self._heap = [entry for entry in self._heap if entry[4].ticket == entry[3]]
        heapify(self._heap)


class ReadyLine:
    """The waiting jobs of one name of a queue, by priority and then oldest first or newest first.

    The second order is kept from the first time on that somebody asks for it.
    """

    __slots__ = ("_newest_first", "_oldest_first")

    def __init__(self) -> None:
        self._oldest_first = Line()
        self._newest_first: Line | None = None

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return self._oldest_first.length

    def __iter__(self) -> Iterator[JobRecord]:
        """Go through the jobs that wait, in no order."""
        return iter(self._oldest_first)

    def push(self, record: JobRecord) -> None:
        """Let a job wait at its place."""
        self._oldest_first.push(_by_age(record))
        if self._newest_first is not None:
            self._newest_first.push(_by_youth(record))

    def head(self, lifo: bool) -> Entry | None:
        """Return the entry that comes first, for comparison with other lines."""
        return (self._newest() if lifo else self._oldest_first).head()

    def take(self, lifo: bool) -> JobRecord | None:
        """Let the job that comes first leave, and return it."""
        if self._newest_first is None and not lifo:
            return self._oldest_first.take()
        newest = self._newest()
        mine, other = (newest, self._oldest_first) if lifo else (self._oldest_first, newest)
        record = mine.take()
        if record is not None:
            other.forget()
        return record

    def forget(self) -> None:
        """Note that a job left by giving up its ticket."""
        self._oldest_first.forget()
        if self._newest_first is not None:
            self._newest_first.forget()

    def _newest(self) -> Line:
        if self._newest_first is None:
            self._newest_first = Line()
            for entry in sorted(map(_by_youth, self._oldest_first)):
                self._newest_first.push(entry)
        return self._newest_first


def place(record: JobRecord, lifo: bool) -> Entry:
    """Return where a job stands among others, for comparison."""
    return _by_youth(record) if lifo else _by_age(record)


def _by_age(record: JobRecord) -> Entry:
    if record.options.lifo:
        return (record.priority, -record.available_at, -record.sequence, record.ticket, record)
    return (record.priority, record.available_at, record.sequence, record.ticket, record)


def _by_youth(record: JobRecord) -> Entry:
    available_at = -record.available_at - _FAR if record.options.lifo else -record.available_at
    return (record.priority, available_at, -record.sequence, record.ticket, record)
