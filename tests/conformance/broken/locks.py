"""Faults in locks: tokens that nobody compares, and times that are taken too seriously or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory import locking
from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.sessions import MemorySessions
from conveyor.model.job import AttemptOutcome, ProgressReport
from conveyor.model.locks import Lock
from conveyor.model.settlement import Refusal, RefusalReason, SettleReport
from conveyor.model.states import Command, JobState
from tests.conformance.broken.bench import with_its_own_token, with_their_own_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from conveyor.model.job import JobData, LogEntry
    from conveyor.model.sessions import ReconcileReport
    from conveyor.model.settlement import Settlement


class TokenIgnoredAtSettle(MemoryJobs):
    """Settles for whoever asks."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        forged = [evolve(one, token=with_its_own_token(self._tables, _lock(one)).token) for one in settlements]
        return await super().settle_jobs(forged, *args, **kwargs)


class TokenIgnoredAtExtend(MemoryJobs):
    """Extends for whoever asks."""

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:
        return await super().extend_locks(with_their_own_tokens(self._tables, locks), lock_duration)


class TokenIgnoredAtRelease(MemoryJobs):
    """Releases for whoever asks."""

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        return await super().release_locks(with_their_own_tokens(self._tables, locks))


class TokenIgnoredAtLogs(MemoryJobs):
    """Takes lines from whoever writes."""

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        return await super().append_logs([evolve(entry, lock=None) for entry in entries])


class TokenIgnoredAtProgress(MemoryJobs):
    """Takes progress from whoever reports."""

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        forged = [ProgressReport(with_its_own_token(self._tables, one.lock), one.progress) for one in reports]
        return await super().set_progress(forged)


class ExpiredLockRefusedAtSettle(MemoryJobs):
    """Refuses the end of a run for lateness alone."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        late = [one for one in settlements if self._is_late(one.job_id)]
        report = await super().settle_jobs([one for one in settlements if one not in late], *args, **kwargs)
        refused = [Refusal(one.job_id, one.token, RefusalReason.LOCK_LOST) for one in late]
        return SettleReport([*report.refused, *refused], report.jobs)

    def _is_late(self, job_id: str) -> bool:
        record = self._tables.jobs.get(job_id)
        return record is not None and record.session is not None and record.session.expires_at <= self._tables.now()


class CancelKeepsTheLock(MemoryJobs):
    """Lets a cancelled run go on writing."""

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        for job_id, token in (report.lock for report in reports):
            record = self._tables.jobs.get(job_id)
            if record is not None and record.state is JobState.CANCELLED and record.token == token:
                return ()
        return await super().set_progress(reports)


class LostLocksNotTold(MemoryJobs):
    """Tells nobody which locks were lost."""

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:
        await super().extend_locks(locks, lock_duration)
        return ()


class UnexpiredLocksReclaimed(MemoryJobs):
    """Takes jobs away from workers that are alive."""

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        for session in self._tables.sessions.values():
            session.expires_at -= timedelta(seconds=10)
        return await super().reclaim_stalled_jobs(max_stalled, limit=limit)


class OneStallTooMany(MemoryJobs):
    """Counts the stalls that are allowed wrongly by one."""

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        return await super().reclaim_stalled_jobs(max_stalled + 1, limit=limit)


class StallCountsAnAttempt(MemoryJobs):
    """Charges the job for the death of its worker."""

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        reclaimed = locking.reclaim_stalled_jobs(self._tables, max_stalled, limit)
        for job in reclaimed:
            self._tables.jobs[job.id].attempts_made += 1
        return [self._tables.jobs[job.id].snapshot() for job in reclaimed]


class StallOfARunForgotten(MemoryJobs):
    """Takes a run that stalled for one that was snoozed."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        snoozed = {Command.RECLAIM: (Command.RETRY, AttemptOutcome.SNOOZED)}
        ends = [snoozed.get(one.command, (one.command, one.outcome)) for one in settlements]
        changed = [
            evolve(one, command=command, outcome=outcome)
            for one, (command, outcome) in zip(settlements, ends, strict=True)
        ]
        return await super().settle_jobs(changed, *args, **kwargs)


class ClosingKeepsTheLocks(MemorySessions):
    """Forgets a session and leaves what it held to nobody."""

    async def close(self, session_id: str, /) -> int:
        session = self._tables.sessions.pop(session_id, None)
        return 0 if session is None else len(session.held)


class ReconcilingReleasesEverything(MemorySessions):
    """Releases what a fetch under way has only just locked."""

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> ReconcileReport:
        return await super().reconcile(session_id, held, last_fetch_number + 1000)


def _lock(settlement: Settlement) -> Lock:
    return Lock(settlement.job_id, settlement.token)
