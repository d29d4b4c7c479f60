"""The outbox: what one worker still has to write: ends of runs, hand-backs, logs and progress.

What was taken stays until it is confirmed, so that a write that was interrupted is repeated; the store's
commands may be repeated, and nothing is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor._runtime.wakeup import Wakeup
    from conveyor.model.job import JobData, LogEntry, ProgressReport
    from conveyor.model.settlement import Settlement

__all__ = ["Outbox"]


class Outbox:
    """Filled by the slots and the board, emptied by the settler. It takes a run's reports as `Reports`."""

    def __init__(self, settler_wakeup: Wakeup) -> None:
        """Start empty."""
        self._settlements: list[Settlement] = []
        self._in_flight: Sequence[Settlement] = ()
        self._hand_backs: list[Lock] = []
        self._logs: list[LogEntry] = []
        self._progress: dict[Lock, ProgressReport] = {}
        self._logs_in_flight: list[LogEntry] = []
        self._progress_in_flight: dict[Lock, ProgressReport] = {}
        self._settler_wakeup = settler_wakeup

    @property
    def has_reports(self) -> bool:
        """Whether logs or progress wait to be written."""
        return bool(self._logs or self._progress or self._logs_in_flight or self._progress_in_flight)

    @property
    def has_settlements(self) -> bool:
        """Whether ends of runs wait to be written."""
        return bool(self._settlements or self._in_flight)

    @property
    def has_hand_backs(self) -> bool:
        """Whether jobs wait to be given up."""
        return bool(self._hand_backs)

    def add_settlement(self, settlement: Settlement) -> None:
        """Take the end of a run."""
        self._settlements.append(settlement)
        self._settler_wakeup.set()

    def hand_back(self, jobs: Iterable[JobData]) -> None:
        """Take jobs that have not come to an end, to be given up."""
        self._hand_backs.extend(Lock(job.id, job.token) for job in jobs if job.token is not None)
        self._settler_wakeup.set()

    def add_log(self, entry: LogEntry, /) -> None:
        """Take a run's line."""
        self._logs.append(entry)
        self._settler_wakeup.set()

    def add_progress(self, report: ProgressReport, /) -> None:
        """Take a run's progress; only the last of each run is written."""
        self._progress[report.lock] = report
        self._settler_wakeup.set()

    def take_reports(self) -> tuple[list[LogEntry], list[ProgressReport]]:
        """Take the lines and progress to write; they stay here until `confirm_reports`."""
        self._logs_in_flight += self._logs
        self._progress_in_flight |= self._progress
        self._logs, self._progress = [], {}
        return self._logs_in_flight, list(self._progress_in_flight.values())

    def confirm_reports(self) -> None:
        """Note that what was taken has been written."""
        self._logs_in_flight, self._progress_in_flight = [], {}

    def take_reports_of(self, lock: Lock) -> tuple[list[LogEntry], ProgressReport | None]:
        """Take the lines and progress of one run, to be written in its transaction."""
        logs = [entry for entry in self._logs if entry.lock == lock]
        self._logs = [entry for entry in self._logs if entry.lock != lock]
        return logs, self._progress.pop(lock, None)

    def take_settlements(self) -> Sequence[Settlement]:
        """Take what is to be settled; it stays here until `confirm_settled`."""
        self._in_flight = [*self._in_flight, *self._settlements] if self._in_flight else self._settlements
        self._settlements = []
        return self._in_flight

    def confirm_settled(self) -> None:
        """Note that what was taken has been settled."""
        self._in_flight = ()

    def take_hand_backs(self) -> Sequence[Lock]:
        """Take the locks to release; they stay here until `confirm_released`."""
        return tuple(self._hand_backs)

    def confirm_released(self, locks: Sequence[Lock]) -> None:
        """Note that these locks are released."""
        del self._hand_backs[: len(locks)]

    def held_locks(self) -> list[Lock]:
        """Return the locks of everything that is still to be given up."""
        leaving = [Lock(settlement.job_id, settlement.token) for settlement in (*self._in_flight, *self._settlements)]
        return leaving + self._hand_backs
