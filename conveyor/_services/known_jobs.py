"""What a program knows of the jobs that it put into a storage which can tell no more than how many there are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import define

from conveyor.model.buffers.values import BufferPlace, BufferSize
from conveyor.model.deduplication import add_digest
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from conveyor.model.buffers.values import KeptJob
    from conveyor.model.job import NewJob

__all__ = ["KnownJobs"]

# What is remembered of the jobs that were merged; a store remembers them for long.
MERGES_REMEMBERED: Final = 10_000
# A job that was added while the storage counted may be missing there; one that has been there for so long is gone.
LONGEST_ADD: Final = timedelta(minutes=1)


@define(eq=False)
class _Known:
    buffer_id: str
    kept: KeptJob
    is_taken: bool = False


@define(eq=False)
class _Merged:
    into: str
    digest: bytes


@define(eq=False)
class _Strange:
    """Jobs of a buffer that others put there: since when they are known to be there, and when the last came."""

    count: int
    oldest_at: datetime
    newest_at: datetime


class KnownJobs:
    """Jobs in buffers, in the order in which this program added them, and where those went that were merged."""

    def __init__(self) -> None:
        """Know nothing."""
        self._known: dict[str, _Known] = {}
        self._merged: dict[str, _Merged] = {}
        self._strange: dict[str, _Strange] = {}

    def answer(self, job: NewJob) -> Added | None:
        """Return what the add of a job answers that is in a buffer or was merged; None: it is not known."""
        if (known := self._known.get(job.id)) is not None:
            return Added.BUFFERED if is_same(known.kept.job, job) else Added.DUPLICATE
        if (merged := self._merged.get(job.id)) is not None:
            return Added.BUFFERED if merged.digest == add_digest(job) else Added.DUPLICATE
        return None

    def keep(self, buffer_id: str, kept: KeptJob) -> None:
        """Remember a job that was put into a buffer."""
        self._known[kept.job.id] = _Known(buffer_id, kept)

    def find(self, job_ids: Sequence[str]) -> dict[str, BufferPlace]:
        """Return those of the jobs that are in a buffer or went into another, by id."""
        places: dict[str, BufferPlace] = {}
        for job_id in job_ids:
            if (known := self._known.get(job_id)) is not None:
                places[job_id] = BufferPlace(known.buffer_id, known.kept)
            elif (merged := self._merged.get(job_id)) is not None and merged.into != job_id:
                places[job_id] = BufferPlace(merged_into=merged.into)
        return places

    def kept(self, job_id: str) -> KeptJob | None:
        """Return a job in a buffer as it was put there."""
        known = self._known.get(job_id)
        return None if known is None else known.kept

    def in_order(self, jobs: Sequence[NewJob]) -> list[NewJob]:
        """Return jobs of a buffer in the order in which they were added: what was put back is behind newer ones.

        Those of other programs stay where they are.
        """
        ranks = {job_id: number for number, job_id in enumerate(self._known)}
        known = iter(sorted((job for job in jobs if job.id in ranks), key=lambda job: ranks[job.id]))
        return [next(known) if job.id in ranks else job for job in jobs]

    def note_taken(self, jobs: Iterable[NewJob], *, is_taken: bool) -> None:
        """Note that jobs are not in their buffer while they are reduced, or are there again."""
        for job in jobs:
            if (known := self._known.get(job.id)) is not None:
                known.is_taken = is_taken

    def leave(self, job_ids: Iterable[str], merged: Mapping[str, str]) -> None:
        """Forget jobs that left their buffer, except which went into which others."""
        for job_id in job_ids:
            known = self._known.pop(job_id, None)
            if known is not None and job_id in merged:
                self._merged[job_id] = _Merged(merged[job_id], add_digest(known.kept.job))
        for job_id in [*self._merged][: max(len(self._merged) - MERGES_REMEMBERED, 0)]:
            del self._merged[job_id]

    def sizes(self, counts: Mapping[str, int], now: datetime) -> dict[str, BufferSize]:
        """Return how full buffers are that have so many jobs now.

        What others put there came when it was first seen, for all that is known, and its bytes are not counted.
        """
        own: dict[str, list[KeptJob]] = {}
        for job_id, known in [*self._known.items()]:
            if counts.get(known.buffer_id):
                if not known.is_taken:
                    own.setdefault(known.buffer_id, []).append(known.kept)
            elif not known.is_taken and now - known.kept.added_at > LONGEST_ADD:
                # Another program flushed it.
                del self._known[job_id]
        sizes = {id: self._size(id, count, own.get(id, ()), now) for id, count in counts.items() if count}
        self._strange = {id: strange for id, strange in self._strange.items() if id in sizes}
        return sizes

    def _size(self, buffer_id: str, count: int, own: Sequence[KeptJob], now: datetime) -> BufferSize:
        times = [one.added_at for one in own]
        if count > len(own):
            strange = self._look_at_strange(buffer_id, count - len(own), now)
            times += [strange.oldest_at, strange.newest_at]
        return BufferSize(count, sum(len(one.job.payload) for one in own), min(times), max(times))

    def _look_at_strange(self, buffer_id: str, count: int, now: datetime) -> _Strange:
        strange = self._strange.get(buffer_id)
        if strange is None or count < strange.count:
            # Some are gone, and who knows which.
            strange = self._strange[buffer_id] = _Strange(count, now, now)
        elif count > strange.count:
            strange.count, strange.newest_at = count, now
        return strange

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._merged.clear()
        self._strange.clear()


def is_same(mine: NewJob, job: NewJob) -> bool:
    """Return whether adding one is adding the other again, both having the same id."""
    return (mine.payload, mine.name, mine.queue_name) == (job.payload, job.name, job.queue_name)
