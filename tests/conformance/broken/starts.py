"""Faults in what may start: jobs that expired, and suspects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor.model.states import JobState
from tests.conformance.broken.fetching import Fetching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.memory.records import JobRecord, SessionRecord
    from conveyor.model.job import JobData
    from conveyor.model.queries import Want


class ExpiredJobsFetched(Fetching):
    """Leaves it to the pass to find what has expired."""

    def _expire(self, wants: Sequence[Want]) -> None:
        pass


class RunningJobsExpired(MemoryJobs):
    """Takes the time a job must start by for the time it must end by."""

    async def expire_jobs(self, *, limit: int = 1000) -> int:
        now = self._tables.now()
        late = [one for one in self._tables.jobs.values() if one.expires_at is not None and one.expires_at <= now]
        for record in late:
            if record.state is JobState.ACTIVE:
                await self.cancel_job(record.id, "expired")
        return await super().expire_jobs(limit=limit)


class RerunKeepsTheExpiry(MemoryJobs):
    """Cancels a job that somebody asked for again because it was late the first time."""

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        expires_at = self._tables.job(job_id).expires_at
        await super().rerun_job(job_id, payload)
        record = self._tables.job(job_id)
        record.expires_at = expires_at
        return record.snapshot()


class SuspectsAmongTheOthers(Fetching):
    """Gives out what a worker died of together with all the rest."""

    def _is_meant(self, record: JobRecord, want: Want) -> bool:
        return not want.is_suspect or record.stalled_count > 0


class SeveralSuspectsAtOnce(Fetching):
    """Gives a session one suspect after the other."""

    def _most_suspects(self, session: SessionRecord) -> int:
        return 1


class SuspectsNotTold(MemoryJobs):
    """Says that nothing waits which stalled before, so nobody asks for it."""

    async def get_suspect_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        return ()
