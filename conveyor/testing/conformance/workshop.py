"""The workshop: what conformance tests make jobs, worker sessions and settlements with."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Unpack

from conveyor.model.job import AttemptOutcome, ErrorInfo, JobData, NewJob
from conveyor.model.locks import Lock, LockToken
from conveyor.model.options import JobKeywords, JobOptions, parse_job_keywords
from conveyor.model.queries import Added, Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import Settlement, SettleReport
from conveyor.model.states import Command, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.store import JobStore, QueueStore, SessionStore, Store
    from conveyor.testing.clocks import ManualClock

__all__ = ["LOCK", "NAME", "OUTCOMES", "QUEUE", "Hand", "Workshop", "ending", "lock_of", "stranger", "token_of"]

QUEUE: Final = "orders"
NAME: Final = "pack"
LOCK: Final = timedelta(seconds=30)
EVERYTHING: Final = 1000
DEFAULTS: Final = JobOptions()
BROKEN: Final = ErrorInfo("ValueError", "the box was too small", "Traceback: none, this is a test")

OUTCOMES: Final = {
    Command.COMPLETE: AttemptOutcome.COMPLETED,
    Command.FAIL: AttemptOutcome.FAILED,
    Command.RETRY: AttemptOutcome.RETRIED,
    Command.DELAY: AttemptOutcome.RETRIED,
    Command.STOP: AttemptOutcome.CANCELLED,
    Command.RECLAIM: AttemptOutcome.STALLED,
    Command.GIVE_UP: AttemptOutcome.STALLED,
}


def token_of(job: JobData) -> LockToken:
    """Return the token of a fetched job."""
    assert job.token is not None, f"{job.id} was fetched without a token"
    return job.token


def lock_of(job: JobData) -> Lock:
    """Return the lock under which a job was fetched."""
    return Lock(job.id, token_of(job))


def stranger(job_id: str) -> Lock:
    """Return a lock on the job that nobody was ever given."""
    return Lock(job_id, LockToken(secrets.token_hex(16), 1))


def ending(
    lock: Lock,
    command: Command,
    *,
    queue: str = QUEUE,
    result: bytes | None = None,
    error: ErrorInfo | None = None,
    delay: timedelta | None = None,
    is_snoozed: bool = False,
    is_removed: bool = False,
) -> Settlement:
    """Return a settlement as core would make it; failures get an error, DELAY a wait of ten seconds."""
    if delay is None:
        delay = timedelta(seconds=10 if command is Command.DELAY else 0)
    if error is None and command is not Command.COMPLETE and not is_snoozed:
        error = BROKEN
    outcome = AttemptOutcome.SNOOZED if is_snoozed else OUTCOMES[command]
    return Settlement(
        lock.job_id,
        queue,
        lock.token,
        command,
        outcome,
        is_counted=outcome not in (AttemptOutcome.SNOOZED, AttemptOutcome.STALLED),
        result=result,
        error=error,
        delay=delay,
        is_removed=is_removed,
        name=NAME,
    )


class Hand:
    """A worker session that fetches and settles, and counts its own fetches as a worker does."""

    def __init__(self, store: Store) -> None:
        self.id: str = secrets.token_hex(16)
        self.fetches: int = 0
        self._store = store

    @property
    def info(self) -> SessionInfo:
        """What the session is opened with."""
        return SessionInfo(self.id, hostname="workshop", pid=1, backend="test", queue_names=(QUEUE,))

    async def open(self, lock_duration: timedelta = LOCK) -> None:
        """Make the session known to the store."""
        await self._store.sessions.open(self.info, lock_duration)

    async def fetch(
        self, limit: int = EVERYTHING, *, queue: str = QUEUE, lifo: bool = False, job_name: str | None = None
    ) -> Sequence[JobData]:
        """Fetch from one queue, under the next fetch number."""
        return await self.fetch_wants(Want(queue, limit, lifo, job_name))

    async def fetch_suspects(self, limit: int = EVERYTHING, *, queue: str = QUEUE) -> Sequence[JobData]:
        """Fetch what stalled before from one queue, under the next fetch number."""
        return await self.fetch_wants(Want(queue, limit, is_suspect=True))

    async def fetch_one(self, *, queue: str = QUEUE) -> JobData:
        """Fetch one job, which must be there."""
        jobs = await self.fetch(1, queue=queue)
        assert len(jobs) == 1, f"queue {queue} should have had a job to fetch"
        return jobs[0]

    async def fetch_suspect(self) -> JobData:
        """Fetch one job that stalled before, which must be there."""
        jobs = await self.fetch_suspects()
        assert len(jobs) == 1, f"queue {QUEUE} should have had one suspect to fetch"
        return jobs[0]

    async def fetch_wants(self, *wants: Want) -> Sequence[JobData]:
        """Fetch for several wants at once, under the next fetch number."""
        self.fetches += 1
        return await self.repeat_fetch(*wants)

    async def repeat_fetch(self, *wants: Want, lock_duration: timedelta = LOCK) -> Sequence[JobData]:
        """Fetch under the number of the last fetch, as after a lost answer."""
        return await self._store.jobs.fetch_jobs(
            wants or (Want(QUEUE, EVERYTHING),), self.id, lock_duration, fetch_number=self.fetches
        )

    async def settle_and_fetch(self, settlement: Settlement, *wants: Want) -> SettleReport:
        """Settle one run and fetch in the same call, under the next fetch number."""
        self.fetches += 1
        return await self._store.jobs.settle_jobs([settlement], wants, self.id, LOCK, fetch_number=self.fetches)


class Workshop:
    """An open store, its clock, and short ways to what tests do all the time."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store: Store = store
        self.clock: ManualClock = clock
        self.jobs: JobStore = store.jobs
        self.sessions: SessionStore = store.sessions
        self.queues: QueueStore = store.queues

    def new(
        self,
        id: str,
        /,
        *,
        queue: str = QUEUE,
        name: str = NAME,
        payload: bytes = b"{}",
        **keywords: Unpack[JobKeywords],
    ) -> NewJob:
        """Return a job to be added."""
        options, placement = parse_job_keywords(keywords, DEFAULTS)
        return NewJob(
            id,
            queue,
            name,
            payload,
            options,
            placement.delay,
            placement.run_at,
            placement.expires,
            placement.deduplication,
        )

    async def add(self, *job_ids: str, queue: str = QUEUE, name: str = NAME, **keywords: Unpack[JobKeywords]) -> None:
        """Add jobs of these ids, in this order."""
        jobs = [self.new(job_id, queue=queue, name=name, **keywords) for job_id in job_ids]
        receipts = await self.jobs.save_jobs(jobs)
        assert [receipt.outcome for receipt in receipts] == [Added.ADDED] * len(jobs)

    async def hand(self) -> Hand:
        """Open a worker session."""
        hand = Hand(self.store)
        await hand.open()
        return hand

    async def fetched(self, id: str, /, **keywords: Unpack[JobKeywords]) -> JobData:
        """Add a job to the queue, which must be empty, and fetch it with a session of its own."""
        await self.add(id, **keywords)
        job = await (await self.hand()).fetch_one()
        assert job.id == id
        return job

    async def settle(self, *settlements: Settlement) -> list[str]:
        """Settle runs and return the ids of those that were refused."""
        report = await self.jobs.settle_jobs(settlements)
        return [refusal.job_id for refusal in report.refused]

    async def finish(self, job: JobData, command: Command = Command.COMPLETE) -> None:
        """Settle a fetched job, which must not be refused."""
        assert await self.settle(ending(lock_of(job), command, queue=job.queue_name)) == []

    async def finished(self, job_id: str, command: Command = Command.COMPLETE) -> JobData:
        """Add a job, run it to this end, and return it as it was while it ran."""
        job = await self.fetched(job_id)
        await self.finish(job, command)
        return job

    async def finished_elsewhere(self, job_id: str, *, queue: str) -> None:
        """Add a job to another queue, which must be empty, and complete it."""
        await self.add(job_id, queue=queue)
        await self.finish(await (await self.hand()).fetch_one(queue=queue))

    async def job(self, job_id: str) -> JobData:
        """Return a job, which must be there."""
        job = await self.jobs.find_job(job_id)
        assert job is not None, f"there should be a job {job_id}"
        return job

    async def state(self, job_id: str) -> JobState | None:
        """Return the state of a job; None: there is no such job."""
        job = await self.jobs.find_job(job_id)
        return None if job is None else job.state

    async def fetch_order(self, *, queue: str = QUEUE, lifo: bool = False) -> list[str]:
        """Fetch all that waits and return the ids in the order in which they were given out."""
        return [job.id for job in await (await self.hand()).fetch(queue=queue, lifo=lifo)]

    async def outcomes(self, job_id: str) -> list[AttemptOutcome]:
        """Return how the runs of a job ended, oldest first."""
        return [attempt.outcome for attempt in await self.jobs.get_attempts(job_id)]
