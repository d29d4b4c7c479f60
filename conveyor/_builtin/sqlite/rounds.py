"""The round of the groups of one queue in SQLite, during one fetch: read ahead, and written at its end.

Nobody else writes meanwhile, so what was read stays true. A fetch takes a handful of statements then, not some for each
job.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conveyor._builtin.choosing import UNGROUPED
from conveyor._builtin.sqlite.packing import as_json
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.rates import next_turn

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from conveyor.model.queries import Want

__all__ = ["FetchLock", "GroupRound", "lock_limited"]

# Session id, fetch number, now.
FetchLock: TypeAlias = tuple[str, int, int]
# When a group has its turn, and which.
_Place: TypeAlias = tuple[int, str]
# A job's name and seq.
_Head: TypeAlias = tuple[str, int]

# Before every place in the round.
_START: Final = (-1, "")
# Where a row of fetch_jobs_heads says in which order its group's jobs come: priority, order_at, order_seq.
_in_order: Final = itemgetter(3, 4, 5)


class GroupRound:
    """The groups of a queue by their places, their next jobs, and what was decided about them; see `choosing.Round`.

    Attributes:
        taken: how many jobs were locked, once it is closed.
    """

    def __init__(
        self, connection: sqlite3.Connection, want: Want, lock: FetchLock, round_at: int, *, is_counted: bool
    ) -> None:
        self._connection = connection
        self._want = want
        self._lock = lock
        self._is_counted = is_counted
        self._began_at = self._round_at = round_at
        self.taken = 0
        # The groups that were read, but for those that have no more turns in this fetch. Of the others, none comes
        # before `_read_to`.
        self._places: list[_Place] = []
        self._read_to: _Place | None = _START
        self._turn: _Place = _START
        self._moved: dict[str, int] = {}
        self._heads: dict[str, deque[_Head]] = {}
        # Groups all of whose wanted jobs were read.
        self._exhausted: set[str] = set()
        self._started: list[int] = []
        self._passed: list[str] = []
        self._run("jobs/fetch_jobs_freed", lock[2])
        self._run("jobs/fetch_jobs_join")

    def next_group(self) -> str | None:
        """Return the group whose turn it is."""
        while self._read_to is not None and not (self._places and self._places[0] <= self._read_to):
            self._read_places(self._read_to)
        if not self._places:
            return None
        self._turn = self._places[0]
        return self._turn[1]

    def head(self, group_id: str, want: Want, stopped: AbstractSet[str], /) -> _Head | None:
        """Return the group's first waiting job that is wanted: its name and seq."""
        if want.lifo:
            return self._newest(group_id, want, stopped)
        if group_id not in self._heads:
            self._read_heads(group_id, want, stopped)
        heads = self._heads[group_id]
        while True:
            # What is stopped meanwhile stays so until the end of the fetch.
            while heads and heads[0][0] in stopped:
                heads.popleft()
            if heads or group_id in self._exhausted:
                return heads[0] if heads else None
            self._read_more(group_id, want, stopped)

    def take(self, seq: int, /) -> None:
        """Lock a job."""
        self._started.append(seq)
        if heads := self._heads.get(self._turn[1]):
            heads.popleft()

    def serve(self, group_id: str, weight: int, /) -> None:
        """Move the group on."""
        self._round_at = max(self._round_at, self._turn[0])
        self._moved[group_id] = at = next_turn(self._round_at, weight)
        heapreplace(self._places, (at, group_id))

    def pass_over(self, group_id: str, /) -> None:
        """Give the group no more turns; it leaves where nothing waits."""
        heappop(self._places)
        self._passed.append(group_id)

    def park(self, group_id: str, free_at: int | None, /) -> None:
        """Pass over the turns of a group until it has room; the jobs without a group look again at the next fetch."""
        if group_id == UNGROUPED:
            self.pass_over(group_id)
        else:
            heappop(self._places)
            self._run("jobs/fetch_jobs_park", group_id, free_at)

    def close(self) -> None:
        """Write what was decided."""
        self._lock_started()
        if self._moved:
            self._run("jobs/fetch_jobs_serve", as_json(self._moved))
        if self._passed:
            left = self._run("jobs/fetch_jobs_leave", as_json(self._passed)).fetchall()
            self._round_at = max([self._round_at, *[at for (at,) in left]])
        if self._round_at != self._began_at:
            self._run("jobs/fetch_jobs_round", self._round_at)

    def _read_places(self, after: _Place) -> None:
        """Read as many groups as could have a turn, each one."""
        limit = self._want.limit
        found = self._run("jobs/fetch_jobs_turn", *after, limit).fetchall()
        for group_id, at in found:
            heappush(self._places, (at, group_id))
        self._read_to = (found[-1][1], found[-1][0]) if len(found) == limit else None

    def _read_heads(self, group_id: str, want: Want, stopped: AbstractSet[str]) -> None:
        """Read the first jobs of this group, and of all others that were read and may have a turn."""
        if group_id == UNGROUPED:
            self._heads[group_id] = deque()
            self._read_more(group_id, want, stopped)
            return
        groups = [
            group_id
            for _, group_id in self._places
            if group_id not in self._heads and group_id != UNGROUPED and group_id not in want.exclude_groups
        ]
        limit = -(-want.limit // len(groups))
        rows = self._run("jobs/fetch_jobs_heads", as_json(groups), *_chosen(want, stopped), limit).fetchall()
        rows.sort(key=_in_order)
        self._heads |= {group_id: deque() for group_id in groups}
        for of_group, name, seq, *_ in rows:
            self._heads[of_group].append((name, seq))
        self._exhausted |= {group_id for group_id in groups if len(self._heads[group_id]) < limit}

    def _read_more(self, group_id: str, want: Want, stopped: AbstractSet[str]) -> None:
        """Read as many jobs of one group as may still be wanted."""
        limit = want.limit - self._lock_started()
        found = self._run("jobs/fetch_jobs_head", group_id, *_chosen(want, stopped), limit).fetchall()
        self._heads[group_id].extend(found)
        if len(found) < limit:
            self._exhausted.add(group_id)

    def _newest(self, group_id: str, want: Want, stopped: AbstractSet[str]) -> _Head | None:
        """Return the head of a group where the newest come first: those are not read ahead."""
        self._lock_started()
        chosen = (group_id, *_chosen(want, stopped))
        found = self._run("jobs/fetch_jobs_head_priority", *chosen).fetchone()
        if found is None:
            return None
        own: _Head | None = self._run("jobs/fetch_jobs_head_own", *chosen, found[0]).fetchone()
        newest: _Head | None = own or self._run("jobs/fetch_jobs_head_newest", *chosen, found[0]).fetchone()
        return newest

    def _lock_started(self) -> int:
        """Lock what was taken; return how many were in all."""
        if self._started:
            self.taken += lock_limited(self._connection, self._lock, self._started, is_counted=self._is_counted)
            self._started = []
        return self.taken

    def _run(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql(statement), (self._want.queue_name, *parameters))


def lock_limited(connection: sqlite3.Connection, lock: FetchLock, seqs: Sequence[int], *, is_counted: bool) -> int:
    """Lock waiting jobs of a queue with limits, whose runs are counted, or with groups alone; return how many."""
    return connection.execute(sql("jobs/fetch_jobs_limited"), (*lock, as_json(seqs), is_counted)).rowcount


def _chosen(want: Want, stopped: Iterable[str]) -> tuple[str | None, str]:
    return want.job_name, as_json(sorted(stopped))
