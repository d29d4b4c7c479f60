"""Faults in fetching and in the order of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor._builtin.memory.expiring import expire_jobs
from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.sessions import MemorySessions
from conveyor.errors import SessionLostError, StoreError
from conveyor.model.locks import LockToken
from conveyor.model.queries import ALL_NAMES, Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from typing import Any

    from conveyor._builtin.memory.records import JobRecord, SessionRecord
    from conveyor.model.job import JobData
    from conveyor.model.locks import Lock
    from conveyor.model.settlement import Settlement, SettleReport


class Fetching(MemoryJobs):
    """Fetches as a whole store does, only slowly: by sorting all that waits. Not a fault, but a place for some."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        tables = self._tables
        if any(queue.guard is not None for queue in tables.existing([want.queue_name for want in wants])):
            return await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)
        session, token = tables.sessions.get(worker_id), LockToken(worker_id, fetch_number)
        is_repeated = session is not None and fetch_number in session._fetches
        repeated = await super().fetch_jobs((), worker_id, lock_duration, fetch_number=fetch_number)
        if session is None or is_repeated:
            return repeated
        self._expire(wants)
        jobs: list[JobData] = []
        for position, want in enumerate(wants):
            for record in self._picked(session, want, position):
                record.queue.leave(record)
                record.queue.by_state[JobState.WAITING][record.id] = record  # where lock() looks for it
                record.queue.lock(record, session, token, tables.now())
                jobs.append(record.snapshot())
        return jobs

    def _picked(self, session: SessionRecord, want: Want, position: int) -> list[JobRecord]:
        waiting = [
            record
            for record in self._tables.jobs.values()
            if record.state is JobState.WAITING
            and record.queue.name == want.queue_name
            and want.job_name in (None, record.name)
            and self._is_meant(record, want)
            and (not {record.name, ALL_NAMES} & record.queue.paused or not self._respects_pauses(position))
        ]
        if want.is_suspect:
            want = evolve(want, limit=self._most_suspects(session), lifo=False)
        return sorted(waiting, key=lambda record: self._place(record, want))[: want.limit]

    def _expire(self, wants: Sequence[Want]) -> None:
        queues = self._tables.existing([want.queue_name for want in wants])
        expire_jobs(self._tables, queues, self._tables.now())

    def _is_meant(self, record: JobRecord, want: Want) -> bool:
        return want.is_suspect == bool(record.stalled_count)

    def _most_suspects(self, session: SessionRecord) -> int:
        return 0 if any(record.stalled_count for record in session.held.values()) else 1

    def _respects_pauses(self, position: int) -> bool:
        return True

    def _place(self, record: JobRecord, want: Want) -> tuple[Any, ...]:
        is_newest_first = want.lifo or record.options.lifo
        sign = -1 if is_newest_first else 1
        return (record.priority, not record.options.lifo, sign * record.available_at, sign * record.sequence)


class OrderedByIdOnly(Fetching):
    """Takes ids for times."""

    def _place(self, record: JobRecord, want: Want) -> tuple[Any, ...]:
        return (record.priority, record.id)


class SequenceIgnored(Fetching):
    """Leaves it to chance who goes first of those that came at the same moment."""

    def _place(self, record: JobRecord, want: Want) -> tuple[Any, ...]:
        return (*super()._place(record, want)[:3], record.id)


class PriorityIgnoredAfterRerun(Fetching):
    """Forgets how urgent a job was once it was settled."""

    def _place(self, record: JobRecord, want: Want) -> tuple[Any, ...]:
        place = super()._place(record, want)
        return (0, *place[1:]) if record.history and not record.attempts_made else place


class LifoWantIgnored(Fetching):
    """Gives the oldest to who wants the newest."""

    def _place(self, record: JobRecord, want: Want) -> tuple[Any, ...]:
        return super()._place(record, evolve(want, lifo=False))


class LifoOptionIgnored(Fetching):
    """Lets jobs that should overtake wait their turn."""

    def _place(self, record: JobRecord, want: Want) -> tuple[Any, ...]:
        sign = -1 if want.lifo else 1
        return (record.priority, sign * record.available_at, sign * record.sequence)


class PausesIgnoredByLaterWants(Fetching):
    """Looks up what is paused for the first queue of a fetch only."""

    def _respects_pauses(self, position: int) -> bool:
        return position == 0


class ReleasedJobsGoToTheEnd(MemoryJobs):
    """Sends back to the end of the line what was handed back."""

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        lost = await super().release_locks(locks)
        for record in [self._tables.jobs[lock.job_id] for lock in locks if lock not in lost]:
            record.queue.leave(record)
            record.sequence = self._tables.next_sequence()
            record.queue.wait_from(record, self._tables.now())
        return lost


class SelectApartFromUpdate(MemoryJobs):
    """Picks jobs first and locks them later; others may have picked them too."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        waiting = [record for record in self._tables.jobs.values() if record.state is JobState.WAITING]
        picked = [record for want in wants for record in waiting[: want.limit] if record.queue.name == want.queue_name]
        await checkpoint()
        locked = await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)
        stolen = [record for record in picked if record.state is not JobState.WAITING]
        token = LockToken(worker_id, fetch_number)
        given = [evolve(record.snapshot(), token=token) for record in stolen]
        return [*locked, *(job for job in given if job.id not in {other.id for other in locked})]


class RepeatedFetchLocksAnew(MemoryJobs):
    """Does not remember which fetch it has answered."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        session = self._tables.sessions.get(worker_id)
        if session is not None:
            session._fetches.discard(fetch_number)
        return await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)


class FetchWithoutASession(MemoryJobs):
    """Opens a session for whoever fetches."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        if worker_id not in self._tables.sessions:
            await MemorySessions(self._tables).open(SessionInfo(worker_id, "", 0, ""), lock_duration)
        return await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)


class LostSessionsUnnamed(MemoryJobs):
    """Refuses a fetch without a session as it refuses anything else."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        try:
            return await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)
        except SessionLostError as exc:
            raise StoreError(str(exc)) from exc


class SettlesBeforeItLooks(MemoryJobs):
    """Settles, and only then finds that there is no session to fetch in."""

    async def settle_jobs(
        self,
        settlements: Sequence[Settlement],
        wants: Sequence[Want] = (),
        worker_id: str = "",
        lock_duration: timedelta | None = None,
        /,
        *,
        fetch_number: int = 0,
    ) -> SettleReport:
        report = await super().settle_jobs(settlements)
        return (
            report
            if not wants
            else await super().settle_jobs((), wants, worker_id, lock_duration, fetch_number=fetch_number)
        )


class FetchShortensTheLock(MemoryJobs):
    """Sets the end of the lock where it should put it off."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        jobs = await super().fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)
        self._tables.sessions[worker_id].expires_at = self._tables.now() + lock_duration
        return jobs


class JobNameOfAWantIgnored(MemoryJobs):
    """Gives jobs of any name to who wants one name."""

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        any_name = [evolve(want, job_name=None) for want in wants]
        return await super().fetch_jobs(any_name, worker_id, lock_duration, fetch_number=fetch_number)
