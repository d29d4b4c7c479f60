"""The board: the jobs one worker holds at the moment, shared by its loops. Nothing here waits or does I/O.

A job is held from the fetch that locked it until the settle or release that gave it up is confirmed: ready
(fetched, not started), running, or leaving (in the outbox).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from conveyor._runtime.guarded import GuardedQueues
from conveyor._runtime.wakeup import Wakeup
from conveyor.model.locks import Lock, LockToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._runtime.outbox import Outbox
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement

__all__ = ["SEATS_WOKEN", "Board", "RunListener", "Seat"]

# How many idle seats one wakes: so ten turns of the event loop wake a thousand.
SEATS_WOKEN: Final = 2


class Seat(Protocol):
    """A slot of the executor, as the board sees it."""

    @property
    def job(self) -> JobData | None:
        """The job it runs."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether its job is settled already, though the run goes on: it holds no lock any more."""
        ...

    def wake(self) -> None:
        """There may be work, or the end."""
        ...

    def lose(self) -> None:
        """Its job's lock is gone: stop the run."""
        ...


class RunListener(Protocol):
    """Hears of every run of a worker. It must return at once and raise nothing."""

    def run_started(self, job: JobData, /) -> None:
        """A run begins."""
        ...

    def run_ended(self, job: JobData, settlement: Settlement | None, /) -> None:
        """A run is over; None: it was stopped before its end, and the job is handed back."""
        ...


class Board:
    """What a worker holds: see the module."""

    def __init__(
        self,
        session_id: str,
        outbox: Outbox,
        *,
        most_starts: int | None = None,
        listener: RunListener | None = None,
    ) -> None:
        """Start empty, for one session.

        Args:
            session_id: the worker's.
            outbox: where what ends goes.
            most_starts: how many runs to start in all; None: no end.
            listener: told of every run.
        """
        self.session_id = session_id
        self.outbox = outbox
        self.ready: deque[JobData] = deque()
        # By run, not by job: after a stall, this worker may run a job anew while its older run still unwinds.
        self.running: dict[tuple[str, LockToken | None], Seat] = {}
        self.idle: list[Seat] = []
        # Of the ready ones that expire: until when, on the loop's clock, they may start.
        self._start_before: dict[tuple[str, LockToken | None], float] = {}
        self.emptied = Wakeup()
        self.started_count = 0
        self._most_starts = most_starts
        self._listener = listener
        # The last run that may start has ended.
        self.finished = anyio.Event()
        self.is_closing = False
        self.handed_back_count = 0
        self.guarded = GuardedQueues()

    @property
    def occupied(self) -> int:
        """How many jobs are ready or running."""
        return len(self.ready) + len(self.running)

    @property
    def starts_left(self) -> float:
        """How many more runs may start."""
        return math.inf if self._most_starts is None else self._most_starts - self.started_count

    def deliver(self, jobs: Sequence[JobData], asked_at: float) -> None:
        """Put the jobs of a fetch that was asked for at this time on the board, and wake idle seats."""
        if self.is_closing or self.starts_left <= 0:
            self.outbox.hand_back(jobs)
            return
        for job in jobs:
            if job.expires_at is not None and job.started_at is not None:
                # The store's clock says how long; it counted from when the question arrived, which is later.
                seconds = (job.expires_at - job.started_at).total_seconds()
                self._start_before[job.id, job.token] = asked_at + seconds
        self.ready.extend(jobs)
        self.wake_seats(SEATS_WOKEN)

    def wake_seats(self, most: int) -> None:
        """Wake idle seats for what is ready, at most so many; each wakes others when it gets to its job.

        Where jobs never wait, the first seat runs them all: to wake one for each job cost more than the jobs.
        """
        for _ in range(min(most, len(self.ready), len(self.idle))):
            self.idle.pop().wake()

    def take(self) -> JobData | None:
        """Take the next job to start, and hand those back whose time to start went by on the way."""
        while self.ready:
            job = self.ready.popleft()
            if job.expires_at is None or anyio.current_time() < self._start_before.pop((job.id, job.token), math.inf):
                return job
            self.outbox.hand_back((job,))
        return None

    def is_running(self, job_id: str) -> bool:
        """Whether a seat runs this job."""
        return any(running_id == job_id for running_id, _ in self.running)

    def start(self, job: JobData, seat: Seat) -> None:
        """Note that a seat runs a job."""
        self.running[job.id, job.token] = seat
        self.started_count += 1
        if self._listener is not None:
            self._listener.run_started(job)
        # No checkpoint since it was taken: no other seat starts one too many.
        if self._most_starts is not None and self.started_count >= self._most_starts:
            self.hand_back_ready()

    def finish(self, job: JobData, settlement: Settlement) -> None:
        """Note that a run ended, and how."""
        self._free(job, settlement)
        self.outbox.add_settlement(settlement)

    def abandon(self, job: JobData, *, is_stopping: bool) -> None:
        """Note that a run was stopped before its end; the job is handed back, if its lock still holds.

        Args:
            job: the job.
            is_stopping: because the worker stops, and not because of its lock.
        """
        self._free(job, None)
        self.handed_back_count += is_stopping
        self.outbox.hand_back((job,))

    def lose(self, lock: Lock) -> None:
        """A lock is gone: stop its run, or forget its job if it was not started.

        The answer may be about an older run of a job that this worker gave back and fetched again since: only
        the run that the token names is touched.
        """
        seat = self.running.get(lock)
        if seat is not None:
            seat.lose()
            return
        for job in self.ready:
            if job.id == lock.job_id and job.token == lock.token:
                self.ready.remove(job)
                self._start_before.pop(lock, None)
                return

    def lose_all(self) -> None:
        """No lock can be trusted any longer. Jobs not started go back, in case the store still answers."""
        for seat in list(self.running.values()):
            seat.lose()
        self.hand_back_ready()

    def hand_back_ready(self) -> None:
        """Give up every job that has not been started."""
        self.outbox.hand_back(self.ready)
        self.ready.clear()
        self._start_before.clear()

    def hand_back_ready_of(self, queue_name: str) -> Sequence[JobData]:
        """Give up the jobs of a queue that have not been started, and return them."""
        jobs = [job for job in self.ready if job.queue_name == queue_name]
        for job in jobs:
            self.ready.remove(job)
            self._start_before.pop((job.id, job.token), None)
        self.outbox.hand_back(jobs)
        return jobs

    def held_locks(self) -> list[Lock]:
        """Return the locks of everything held."""
        held = [Lock(job.id, job.token) for job in self.ready if job.token is not None]
        seats = [seat for seat in self.running.values() if not seat.is_settled]
        held += [Lock(s.job.id, s.job.token) for s in seats if s.job is not None and s.job.token]
        return held + self.outbox.held_locks()

    def _free(self, job: JobData, settlement: Settlement | None) -> None:
        self.running.pop((job.id, job.token), None)
        if self._listener is not None:
            self._listener.run_ended(job, settlement)
        if not self.running:
            self.emptied.set()
            if self.starts_left <= 0:
                self.finished.set()
