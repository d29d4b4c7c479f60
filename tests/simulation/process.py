"""A simulated process: an app and its worker over a line of their own, which can be frozen, killed or stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor import Conveyor, JobContext, Retry, Snooze
from conveyor._plugins import Plugins
from conveyor.model.retention import Retention
from tests.simulation.plan import LOCK_SECONDS, MAX_STALLED, POLL_SECONDS, QUEUES, RETENTION_SECONDS, JobsById
from tests.simulation.scheduler import process_name

if TYPE_CHECKING:
    from conveyor.contracts.clock import Clock
    from conveyor.model.locks import LockToken
    from tests.simulation.faults import Line
    from tests.simulation.history import History
    from tests.simulation.plan import Plan, PlannedJob

__all__ = ["PLUGINS", "Process"]

# Found once: looking for entry points takes longer than many a run.
PLUGINS: Final = Plugins()


class Process:
    """One worker process, from its beginning to its end; a restarted one is another."""

    def __init__(self, name: str, line: Line, plan: Plan, clock: Clock, history: History) -> None:
        self.name = name
        self.line = line
        self.is_gone = False
        self.scope = anyio.CancelScope()
        self._plan = plan
        self._jobs = JobsById(plan)
        self._history = history
        self._stop = anyio.Event()
        retention = None if plan.features is None else plan.features.retention
        self._app = Conveyor(line, clock=clock, plugins=PLUGINS, retention=retention or Retention())
        for queue_name in QUEUES:
            for job_name in ("work", "tick"):
                self._app.queue(queue_name).job(job_name)(self._work)

    def stop(self) -> None:
        """Ask it to stop gracefully."""
        self._stop.set()

    async def run(self) -> None:
        """Live."""
        process_name.set(self.name)
        self._note("began")
        plan = self._plan
        how = "left"
        detail = ""
        try:
            with self.scope:
                async with (
                    self._app,
                    self._app.worker(
                        plan.weights,
                        concurrency=plan.concurrency,
                        prefetch=plan.prefetch,  # type: ignore[arg-type] # drawn from what is allowed
                        lifo=plan.is_lifo,
                        lock_duration=LOCK_SECONDS,
                        stalled_interval=2,
                        max_stalled=MAX_STALLED,
                        shutdown_grace=plan.grace_seconds,
                        poll_interval=POLL_SECONDS,
                        retention_interval=RETENTION_SECONDS,
                    ),
                ):
                    await self._stop.wait()
        except Exception as exc:  # noqa: BLE001 - the checker judges it
            how, detail = "crashed", repr(exc)
        self._note(how, detail=detail)
        self.is_gone = True

    def _note(self, kind: str, job_id: str = "", token: LockToken | None = None, detail: str = "") -> None:
        if not self.line.is_dead:
            self._history.note(kind, self.name, job_id, token, detail)

    async def _work(self, context: JobContext) -> Any:
        job, token = self._jobs[context.job.id], context.job.token
        self._note("started", job.id, token)
        for number in range(job.lines - 1):
            context.log(f"line {number}")
        how = "stopped"
        try:
            await anyio.sleep(job.seconds)
            how = "ended"
        except anyio.get_cancelled_exc_class():
            self._note("told", job.id, token)
            if job.hold_seconds:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(job.hold_seconds)
            if not job.is_stubborn:
                raise
            how = "ended"
        finally:
            if job.lines and how == "ended":
                context.log("the last line")
            self._note("ended", job.id, token, how)
        return self._outcome(context, job, token)

    def _is_limited(self, job: PlannedJob) -> bool:
        features = self._plan.features
        return features is not None and job.queue_name in features.limits

    def _count_throttled(self, job: PlannedJob) -> int:
        return sum(event.job_id == job.id and event.kind == "throttled" for event in self._history.events)

    def _outcome(self, context: JobContext, job: PlannedJob, token: LockToken | None) -> Any:
        snoozed = sum(event.job_id == job.id and event.detail == "snoozed" for event in self._history.events)
        if snoozed < job.snoozes:
            return Snooze(0.5)
        if self._is_limited(job) and self._count_throttled(job) < job.throttles:
            self._note("throttled", job.id, token)
            return Retry(0.7)
        if context.attempt <= job.failures:
            # With limits, such a retry would cost no attempt.
            if job.backoff_seconds and not self._is_limited(job):
                return Retry(job.backoff_seconds)
            raise RuntimeError("as planned")
        return "done"
