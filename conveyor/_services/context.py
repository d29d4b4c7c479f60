"""JobContext: what a handler may ask of, and tell about, the run it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from conveyor.model.job import JobData, LogEntry, Progress, ProgressReport
from conveyor.model.locks import Lock, LockToken

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JobContext", "Reports"]


class Reports(Protocol):
    """Where a run's logs and progress go; they are written in batches, under the run's lock."""

    def add_log(self, entry: LogEntry, /) -> None:
        """Take one line."""
        ...

    def add_progress(self, report: ProgressReport, /) -> None:
        """Take progress; of several reports of one run only the last need be written."""
        ...


class JobContext:
    """Given to a handler whose first parameter is annotated with it.

    `log` and `progress` return at once, also in a sync handler's thread; what they say is written to the store
    in batches, before the run's end is. What a run says after it lost its lock is dropped.
    """

    def __init__(
        self,
        job: JobData,
        reports: Reports,
        is_cancelled: Callable[[], bool],
        on_loop: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """Bind a context to one run; core makes these, tests may.

        Args:
            job: the job as it was fetched.
            reports: where logs and progress go.
            is_cancelled: tells whether the run was asked to stop.
            on_loop: runs a function on the event loop; needed where the handler runs in a thread.
        """
        self._job = job
        self._reports = reports
        self._is_cancelled = is_cancelled
        self._on_loop = on_loop
        self._lock = Lock(job.id, job.token or LockToken("", 0))

    @property
    def job(self) -> JobData:
        """The job as it was when this run began."""
        return self._job

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1; snoozes and stalls do not count."""
        return self._job.attempts_made + 1

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop. Async handlers are cancelled for real; a sync one should look."""
        return self._is_cancelled()

    def log(self, message: str) -> None:
        """Keep a line with the job."""
        entry = LogEntry(self._job.id, str(message), lock=self._lock, attempt=self.attempt)
        self._send(lambda: self._reports.add_log(entry))

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the job is: `done` of `total` (None: unknown), with an optional message."""
        report = ProgressReport(self._lock, Progress(float(done), None if total is None else float(total), message))
        self._send(lambda: self._reports.add_progress(report))

    def _send(self, report: Callable[[], None]) -> None:
        if self._on_loop is None:
            report()
        else:
            self._on_loop(report)
