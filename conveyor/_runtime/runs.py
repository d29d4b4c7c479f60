"""Runs without a worker: in the task of whoever asks, for strategies and tests that fetch nothing."""

from __future__ import annotations

import logging
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.board import Board
from conveyor._runtime.deadlines import Deadlines
from conveyor._runtime.endings import Endings
from conveyor._runtime.executor import Executor, RunMeans
from conveyor._runtime.handler_threads import HandlerThreads
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.wakeup import Wakeup
from conveyor.contracts.runtime import RunEnd
from conveyor.model.outcomes import Failed, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conveyor._services.services import Services
    from conveyor.model.job import JobData, LogEntry, ProgressReport

__all__ = ["Runs", "log_reports"]

logger: Final = logging.getLogger("conveyor.jobs")

MOST_THREADS: Final = 1000


class Runs:
    """A `JobRunner` of an app. What its runs report gathers in `outbox` until somebody takes it."""

    def __init__(self, services: Services) -> None:
        """Bind to an app, which need not be open yet."""
        self.session_id: str = secrets.token_hex(16)
        self.outbox: Outbox = Outbox(Wakeup())
        self._services = services

    @cached_property
    def _executor(self) -> Executor:
        # Made when the first job runs: by then the app has its middleware and codec, and most apps never get here.
        services = self._services
        return Executor(
            services.handlers,
            services.middleware,
            Endings(services.curves, max_stalled=0),  # nobody is there to run a job again that stalled
            Board(self.session_id, self.outbox),
            Deadlines(),
            threads=HandlerThreads(anyio.CapacityLimiter(MOST_THREADS)),
            means=RunMeans(get_state=lambda: services.state, payload_codec=services.payload_codec),
        )

    async def run(self, job: JobData, /) -> RunEnd:
        """Run a job to its end, and log what it reports; see `JobRunner.run`."""
        try:
            return await self.run_quietly(job)
        finally:
            logs, progress = self.outbox.take_reports()
            log_reports(logs, progress)
            self.outbox.confirm_reports()

    async def run_quietly(self, job: JobData) -> RunEnd:
        """Run a job to its end; what it reports stays in the outbox."""
        outcome = await self._outcome(job)
        return RunEnd(self._executor.settlement(job, outcome), outcome.error if isinstance(outcome, Failed) else None)

    async def _outcome(self, job: JobData) -> Outcome:
        timeout = job.options.timeout
        try:
            with anyio.fail_after(None if timeout is None else timeout.total_seconds()):
                return await self._executor.process(job)
        except TimeoutError as exc:
            return Failed(TimeoutError(f"the run took longer than {timeout}").with_traceback(exc.__traceback__))

    async def close(self) -> None:
        """End the processes of handlers, if there were any."""
        if "_executor" in self.__dict__:
            await self._executor.processes.close()


def log_reports(logs: Iterable[LogEntry], progress: Iterable[ProgressReport]) -> None:
    """Log what runs reported of jobs that no store keeps."""
    for report in progress:
        logger.debug("job %s: %s", report.lock.job_id, report.progress)
    for entry in logs:
        logger.info("job %s: %s", entry.job_id, entry.message)
