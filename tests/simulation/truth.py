"""The store of a simulated run: the memory store, each of whose effects is noted as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.scheduler import process_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor._builtin.memory.store import MemoryStore
    from conveyor.model.job import JobData
    from conveyor.model.locks import Lock
    from conveyor.model.queries import Want
    from conveyor.model.sessions import SessionInfo
    from conveyor.model.settlement import Settlement
    from tests.simulation.history import History

__all__ = ["NotedJobs", "NotedSessions"]


class NotedJobs:
    """The jobs facet. Nothing here waits, so what is noted stands in the order in which it took effect."""

    def __init__(self, store: MemoryStore, history: History) -> None:
        self._jobs = store.jobs
        self._history = history

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def save_job(self, job: Any, /) -> Any:
        (receipt,) = await self.save_jobs([job])
        return receipt

    async def save_jobs(self, jobs: Sequence[Any], /) -> Any:
        receipts = await self._jobs.save_jobs(jobs)
        for job in jobs:
            self._history.note("added", job_id=job.id)
        return receipts

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        jobs = await self._jobs.fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)
        self._note_fetched(worker_id, jobs)
        return jobs

    async def settle_jobs(
        self,
        settlements: Sequence[Settlement],
        wants: Sequence[Want] = (),
        worker_id: str = "",
        lock_duration: timedelta | None = None,
        /,
        *,
        fetch_number: int = 0,
    ) -> Any:
        report = await self._jobs.settle_jobs(settlements, wants, worker_id, lock_duration, fetch_number=fetch_number)
        refused = {(refusal.job_id, refusal.token) for refusal in report.refused}
        for settlement in settlements:
            kind = "refused" if (settlement.job_id, settlement.token) in refused else "settled"
            process = self._history.process_of(settlement.token)
            self._history.note(
                kind,
                process,
                settlement.job_id,
                settlement.token,
                settlement.outcome.value,
                is_counted=settlement.is_counted,
            )
        self._note_fetched(worker_id, report.jobs)
        return report

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        lost = await self._jobs.release_locks(locks)
        for lock in locks:
            if lock not in lost:
                self._history.note("released", self._history.process_of(lock.token), lock.job_id, lock.token)
        return lost

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        jobs = await self._jobs.reclaim_stalled_jobs(max_stalled, limit=limit)
        for job in jobs:
            process = self._history.process_of(job.token)
            self._history.note("reclaimed", process, job.id, job.token, job.state.value)
        return jobs

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        job = await self._jobs.cancel_job(job_id, reason)
        self._history.note("cancelled", job_id=job_id)
        return job

    def _note_fetched(self, worker_id: str, jobs: Sequence[JobData]) -> None:
        for job in jobs:
            self._history.note("fetched", self._history.sessions[worker_id], job.id, job.token)


class NotedSessions:
    """The sessions facet."""

    def __init__(self, store: MemoryStore, history: History) -> None:
        self._tables = store.jobs._tables
        self._sessions = store.sessions
        self._history = history

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sessions, name)

    async def open(self, session: SessionInfo, lock_duration: timedelta, /) -> None:
        await self._sessions.open(session, lock_duration)
        process = self._history.sessions[session.id] = process_name.get()
        self._history.note("opened", process)

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> Any:
        tokens = self._held(session_id)
        report = await self._sessions.reconcile(session_id, held, last_fetch_number)
        for job_id in report.released:
            self._history.note("released", self._history.sessions[session_id], job_id, tokens[job_id], "reconciled")
        return report

    async def close(self, session_id: str, /) -> int:
        tokens = self._held(session_id)
        count = await self._sessions.close(session_id)
        for job_id, token in tokens.items():
            self._history.note("released", self._history.sessions[session_id], job_id, token, "closed")
        self._history.note("closed", self._history.sessions[session_id])
        return count

    def _held(self, session_id: str) -> dict[str, Any]:
        session = self._tables.sessions.get(session_id)
        return {} if session is None else {job_id: record.token for job_id, record in session.held.items()}
