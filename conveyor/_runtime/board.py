"""The board: what one worker holds at the moment, shared by its loops. Nothing here waits or does I/O.

A job is on the board from the fetch that locked it until the settle or release that gave it up is confirmed:
ready (fetched, not started), running, or leaving (its end, or its hand-back, still to be written).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from conveyor.model.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor._runtime.wakeup import Wakeup
    from conveyor.model.job import JobData, LogEntry, ProgressReport
    from conveyor.model.settlement import Settlement

__all__ = ["Board", "Seat"]


class Seat(Protocol):
    """A slot of the executor, as the board sees it."""

    @property
    def job(self) -> JobData | None:
        """The job it runs."""
        ...

    def wake(self) -> None:
        """There may be work, or the end."""
        ...

    def lose(self) -> None:
        """Its job's lock is gone: stop the run."""
        ...


class Board:
    """What a worker holds: see the module."""

    def __init__(self, session_id: str, settler_wakeup: Wakeup) -> None:
        """Start empty, for one session."""
        self.session_id = session_id
        self.ready: deque[JobData] = deque()
        self.running: dict[str, Seat] = {}
        self.idle: list[Seat] = []
        self.started_count = 0
        self.is_closing = False
        self._outbox: list[Settlement] = []
        self._in_flight: Sequence[Settlement] = ()
        self._hand_backs: list[Lock] = []
        self._logs: list[LogEntry] = []
        self._progress: dict[Lock, ProgressReport] = {}
        self._settler_wakeup = settler_wakeup

    @property
    def occupied(self) -> int:
        """How many jobs are ready or running."""
        return len(self.ready) + len(self.running)

    @property
    def has_reports(self) -> bool:
        """Whether logs or progress wait to be written."""
        return bool(self._logs or self._progress)

    @property
    def has_unsettled(self) -> bool:
        """Whether ends of runs wait to be written."""
        return bool(self._outbox)

    def deliver(self, jobs: Sequence[JobData]) -> None:
        """Put fetched jobs on the board and wake as many idle seats."""
        if self.is_closing:
            self.hand_back(jobs)
            return
        self.ready.extend(jobs)
        for _ in range(min(len(jobs), len(self.idle))):
            self.idle.pop().wake()

    def start(self, job: JobData, seat: Seat) -> None:
        """Note that a seat runs a job."""
        self.running[job.id] = seat
        self.started_count += 1

    def finish(self, job: JobData, settlement: Settlement | None) -> None:
        """Note that a run ended, and how; None: its lock is gone, so there is nothing to write."""
        self.running.pop(job.id, None)
        if settlement is not None:
            self._outbox.append(settlement)
        self._settler_wakeup.set()

    def abandon(self, job: JobData) -> None:
        """Note that a run was stopped before its end; the job is to be handed back."""
        self.running.pop(job.id, None)
        self.hand_back((job,))

    def hand_back(self, jobs: Iterable[JobData]) -> None:
        """Give up jobs that have not come to an end."""
        self._hand_backs.extend(Lock(job.id, job.token) for job in jobs if job.token is not None)
        self._settler_wakeup.set()

    def lose(self, job_id: str) -> None:
        """The lock of a job is gone: stop its run, or forget it if it was not started."""
        seat = self.running.get(job_id)
        if seat is not None:
            seat.lose()
            return
        for job in self.ready:
            if job.id == job_id:
                self.ready.remove(job)
                return

    def lose_all(self) -> None:
        """No lock can be trusted any longer. Jobs not started go back, in case the store still answers."""
        for seat in list(self.running.values()):
            seat.lose()
        self.hand_back_ready()

    def hand_back_ready(self) -> int:
        """Give up every job that has not been started; return how many."""
        count = len(self.ready)
        self.hand_back(self.ready)
        self.ready.clear()
        return count

    def take_settlements(self) -> Sequence[Settlement]:
        """Take what is to be settled; it stays on the board until `confirm_settled`."""
        self._in_flight = [*self._in_flight, *self._outbox]
        self._outbox = []
        return self._in_flight

    def confirm_settled(self) -> None:
        """Note that what was taken has been settled."""
        self._in_flight = ()

    def take_hand_backs(self) -> Sequence[Lock]:
        """Return the locks to release; they stay until `confirm_released`."""
        return tuple(self._hand_backs)

    def confirm_released(self, locks: Sequence[Lock]) -> None:
        """Note that these locks are released."""
        del self._hand_backs[: len(locks)]

    def add_log(self, entry: LogEntry, /) -> None:
        """Take a run's line."""
        self._logs.append(entry)
        self._settler_wakeup.set()

    def add_progress(self, report: ProgressReport, /) -> None:
        """Take a run's progress; only the last of each run is written."""
        self._progress[report.lock] = report
        self._settler_wakeup.set()

    def take_reports(self) -> tuple[list[LogEntry], list[ProgressReport]]:
        """Take the lines and progress to write."""
        logs, self._logs = self._logs, []
        progress, self._progress = list(self._progress.values()), {}
        return logs, progress

    def held_locks(self) -> list[Lock]:
        """Return the locks of everything on the board."""
        held = [Lock(job.id, job.token) for job in self.ready if job.token is not None]
        held += [Lock(s.job.id, s.job.token) for s in self.running.values() if s.job is not None and s.job.token]
        held += [Lock(settlement.job_id, settlement.token) for settlement in (*self._in_flight, *self._outbox)]
        return held + self._hand_backs
