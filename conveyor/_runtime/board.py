"""The board: the jobs one worker holds at the moment, shared by its loops. Nothing here waits or does I/O.

A job is held from the fetch that locked it until the settle or release that gave it up is confirmed: ready
(fetched, not started), running, or leaving (in the outbox).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from conveyor._runtime.wakeup import Wakeup
from conveyor.model.locks import Lock, LockToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._runtime.outbox import Outbox
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement

__all__ = ["Board", "Seat"]


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


class Board:
    """What a worker holds: see the module."""

    def __init__(self, session_id: str, outbox: Outbox) -> None:
        """Start empty, for one session."""
        self.session_id = session_id
        self.outbox = outbox
        self.ready: deque[JobData] = deque()
        # By run, not by job: after a stall, this worker may run a job anew while its older run still unwinds.
        self.running: dict[tuple[str, LockToken | None], Seat] = {}
        self.idle: list[Seat] = []
        self.emptied = Wakeup()
        self.started_count = 0
        self.is_closing = False

    @property
    def occupied(self) -> int:
        """How many jobs are ready or running."""
        return len(self.ready) + len(self.running)

    def deliver(self, jobs: Sequence[JobData]) -> None:
        """Put fetched jobs on the board and wake as many idle seats."""
        if self.is_closing:
            self.outbox.hand_back(jobs)
            return
        self.ready.extend(jobs)
        for _ in range(min(len(jobs), len(self.idle))):
            self.idle.pop().wake()

    def is_running(self, job_id: str) -> bool:
        """Whether a seat runs this job."""
        return any(running_id == job_id for running_id, _ in self.running)

    def start(self, job: JobData, seat: Seat) -> None:
        """Note that a seat runs a job."""
        self.running[job.id, job.token] = seat
        self.started_count += 1

    def finish(self, job: JobData, settlement: Settlement) -> None:
        """Note that a run ended, and how."""
        self._free(job)
        self.outbox.add_settlement(settlement)

    def abandon(self, job: JobData) -> None:
        """Note that a run was stopped before its end; the job is handed back, if its lock still holds."""
        self._free(job)
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

    def held_locks(self) -> list[Lock]:
        """Return the locks of everything held."""
        held = [Lock(job.id, job.token) for job in self.ready if job.token is not None]
        seats = [seat for seat in self.running.values() if not seat.is_settled]
        held += [Lock(s.job.id, s.job.token) for s in seats if s.job is not None and s.job.token]
        return held + self.outbox.held_locks()

    def _free(self, job: JobData) -> None:
        self.running.pop((job.id, job.token), None)
        if not self.running:
            self.emptied.set()
