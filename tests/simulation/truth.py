"""The store of a simulated run: the memory store, each of whose effects is noted as it happens.

Nothing here waits, so what is noted stands in the order in which it took effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor.model.settlement import Refusal
from conveyor.model.states import JobState
from tests.simulation.scheduler import process_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.store import MemoryStore
    from conveyor._builtin.memory.tables import QueueTable
    from conveyor.model.job import JobData, LogEntry
    from conveyor.model.locks import Lock
    from conveyor.model.queries import Want
    from conveyor.model.retention import Retention
    from conveyor.model.sessions import SessionInfo
    from conveyor.model.settlement import Settlement
    from tests.simulation.history import History

__all__ = ["NotedJobs", "NotedQueues", "NotedSessions", "NotedWaiting"]

SETTLED: Final = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class NotedWaiting:
    """Notes which jobs wait in line, whatever brought them there or took them away."""

    def __init__(self, store: MemoryStore, history: History) -> None:
        self._tables = store.jobs._tables
        self._history = history
        self._known: dict[str, str] = {}
        self._blocked: set[str] = set()

    def note(self) -> None:
        """Note what has changed since this was asked last."""
        self.note_parents()
        now = {
            record.id: f"{queue.name} suspect" if record.stalled_count else queue.name
            for queue in self._tables.queues.values()
            for record in queue.by_state[JobState.WAITING].values()
        }
        if now == self._known:
            return
        for job_id in self._known:
            if job_id not in now:
                self._history.note("taken", job_id=job_id)
        for job_id, where in now.items():
            if self._known.get(job_id) != where:
                self._history.note("waits", job_id=job_id, detail=where)
        self._known = now

    def note_parents(self) -> None:
        """Note which jobs wait for their children since, and what became of those that do no more."""
        queues = self._tables.queues.values()
        blocked = {job_id for queue in queues for job_id in queue.by_state[JobState.WAITING_CHILDREN]}
        for job_id in sorted(self._blocked - blocked):
            record = self._tables.jobs.get(job_id)
            self._history.note("awaits_no_more", job_id=job_id, detail="gone" if record is None else record.state.value)
        for job_id in sorted(blocked - self._blocked):
            self._history.note("awaits", job_id=job_id)
        self._blocked = blocked


class NotedJobs:
    """The jobs facet."""

    def __init__(self, store: MemoryStore, history: History, waiting: NotedWaiting) -> None:
        self._jobs = store.jobs
        self._tables = store.jobs._tables
        self._history = history
        self._waiting = waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def save_job(self, job: Any, /) -> Any:
        (receipt,) = await self.save_jobs([job])
        return receipt

    async def save_jobs(self, jobs: Sequence[Any], /) -> Any:
        fresh = [job for job in jobs if job.id not in self._tables.jobs]
        receipts = await self._jobs.save_jobs(jobs)
        for job in fresh:
            self._history.note("added", job_id=job.id)
        self._waiting.note()
        return receipts

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        may_expire = self._may_expire()
        jobs = await self._jobs.fetch_jobs(wants, worker_id, lock_duration, fetch_number=fetch_number)
        self._note_expired(may_expire)
        self._note_fetched(worker_id, jobs)
        self._waiting.note()
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
        may_expire = self._may_expire()
        report = await self._jobs.settle_jobs(settlements, wants, worker_id, lock_duration, fetch_number=fetch_number)
        refused = {(refusal.job_id, refusal.token) for refusal in report.refused}
        for settlement in settlements:
            self._note_settlement(settlement, (settlement.job_id, settlement.token) in refused)
        self._note_expired(may_expire)
        self._note_fetched(worker_id, report.jobs)
        self._waiting.note()
        return report

    def _note_settlement(self, settlement: Settlement, is_refused: bool) -> None:
        self._history.note(
            "refused" if is_refused else "settled",
            self._history.process_of(settlement.token),
            settlement.job_id,
            settlement.token,
            settlement.outcome.value,
            is_counted=settlement.is_counted,
        )
        if not is_refused and settlement.is_removed and settlement.job_id not in self._tables.jobs:
            self._history.note("removed", job_id=settlement.job_id, detail="by its settlement")

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        refused = await self._jobs.append_logs(entries)
        lost = {(refusal.job_id, refusal.token) for refusal in refused}
        for entry in entries:
            if entry.lock is not None and entry.lock not in lost:
                self._history.note("logged", self._history.process_of(entry.lock.token), *entry.lock)
        return refused

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        lost = await self._jobs.release_locks(locks)
        for lock in locks:
            if lock not in lost:
                self._history.note("released", self._history.process_of(lock.token), lock.job_id, lock.token)
        self._waiting.note()
        return lost

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        jobs = await self._jobs.reclaim_stalled_jobs(max_stalled, limit=limit)
        for job in jobs:
            process = self._history.process_of(job.token)
            self._history.note("reclaimed", process, job.id, job.token, job.state.value)
        self._waiting.note()
        return jobs

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        job: JobData = await self._change("cancelled", job_id, self._jobs.cancel_job(job_id, reason))
        return job

    async def promote_job(self, job_id: str, /) -> JobData:
        job: JobData = await self._change("promoted", job_id, self._jobs.promote_job(job_id))
        return job

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        job: JobData = await self._change("rerun", job_id, self._jobs.rerun_job(job_id, payload))
        return job

    async def remove_job(self, job_id: str, /) -> None:
        await self._change("removed", job_id, self._jobs.remove_job(job_id))

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        queues = self._tables.existing(queue_names)
        due_at = {job.id: job.run_at for queue in queues for job in queue.by_state[JobState.DELAYED].values()}
        count = await self._jobs.promote_delayed_jobs(queue_names, limit=limit)
        now = self._tables.now()
        for job_id, at in due_at.items():
            if self._tables.jobs[job_id].state is not JobState.DELAYED:
                self._history.note("promoted", job_id=job_id, detail=f"{(now - at).total_seconds():.4f}")
        self._waiting.note()
        return count

    async def expire_jobs(self, *, limit: int = 1000) -> int:
        may_expire = self._may_expire()
        count = await self._jobs.expire_jobs(limit=limit)
        self._note_expired(may_expire)
        self._waiting.note()
        return count

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        now = self._tables.now()
        settled = [
            (job.id, job.state.value, (now - job.finished_at).total_seconds(), _count_later(queue, job))
            for queue in self._tables.queues.values()
            for state in SETTLED
            for job in queue.by_state[state].values()
            if job.finished_at is not None
        ]
        count = await self._jobs.remove_outdated_jobs(queue_names, retention, limit=limit)
        for job_id, state, age, later in settled:
            if job_id not in self._tables.jobs:
                self._history.note("outdated", job_id=job_id, detail=f"{state} {age:.6f} {later}")
        self._waiting.note()
        return count

    async def _change(self, kind: str, job_id: str, verb: Any) -> Any:
        changed = await verb
        self._history.note(kind, job_id=job_id)
        self._waiting.note()
        return changed

    def _may_expire(self) -> list[Any]:
        jobs = self._tables.jobs.values()
        return [job for job in jobs if job.expires_at is not None and not job.state.is_settled]

    def _note_expired(self, may_expire: list[Any]) -> None:
        for job in may_expire:
            if job.state is JobState.CANCELLED and job.error is not None and job.error.type == "Expired":
                self._history.note("expired", job_id=job.id)

    def _note_fetched(self, worker_id: str, jobs: Sequence[JobData]) -> None:
        # What was settled or expired before may have let them go on.
        self._waiting.note_parents()
        for job in jobs:
            self._history.note("fetched", self._history.sessions[worker_id], job.id, job.token)


def _count_later(queue: QueueTable, job: JobRecord) -> int:
    """Return how many jobs of a queue ended later than this, or at the same moment: which counts as later is open."""
    ends = (other.finished_at for state in SETTLED for other in queue.by_state[state].values() if other is not job)
    return sum(end is not None and job.finished_at is not None and end >= job.finished_at for end in ends)


class NotedQueues:
    """The queues facet."""

    def __init__(self, store: MemoryStore, history: History) -> None:
        self._queues = store.queues
        self._history = history

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queues, name)

    async def pause_job_name(self, queue_name: str, job_name: str, /) -> None:
        await self._queues.pause_job_name(queue_name, job_name)
        await self._note(queue_name)

    async def resume_job_name(self, queue_name: str, job_name: str, /) -> None:
        await self._queues.resume_job_name(queue_name, job_name)
        await self._note(queue_name)

    async def _note(self, queue_name: str) -> None:
        is_paused = bool(await self._queues.get_paused_job_names(queue_name))
        self._history.note("paused" if is_paused else "resumed", detail=queue_name)


class NotedSessions:
    """The sessions facet."""

    def __init__(self, store: MemoryStore, history: History, waiting: NotedWaiting) -> None:
        self._tables = store.jobs._tables
        self._sessions = store.sessions
        self._history = history
        self._waiting = waiting

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
        self._waiting.note()
        return report

    async def close(self, session_id: str, /) -> int:
        count = await self._end(session_id, "closed")
        self._history.note("closed", self._history.sessions[session_id])
        return count

    async def forget(self, process: str) -> bool:
        """End a session that lives, behind its worker's back; return whether there was any."""
        for session_id in list(self._tables.sessions):
            if self._history.sessions[session_id] == process:
                self._history.note("forgotten", process)
                await self._end(session_id, "forgotten")
                return True
        return False

    async def _end(self, session_id: str, how: str) -> int:
        tokens = self._held(session_id)
        count = await self._sessions.close(session_id)
        for job_id, token in tokens.items():
            self._history.note("released", self._history.sessions[session_id], job_id, token, how)
        self._waiting.note()
        return count

    def _held(self, session_id: str) -> dict[str, Any]:
        session = self._tables.sessions.get(session_id)
        return {} if session is None else {job_id: record.token for job_id, record in session.held.items()}
