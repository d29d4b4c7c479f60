"""Jobs and their runs, followed through a history: who may write, what was charged, and how each job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field

from conveyor.model.states import JobState
from tests.simulation.plan import LOCK_SECONDS, MAX_STALLED, JobsById

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.locks import LockToken
    from tests.simulation.excuses import Excuses
    from tests.simulation.history import Event, History
    from tests.simulation.plan import Plan, PlannedJob

__all__ = ["RunChecker"]

_WAITS: Final = {"retried", "snoozed"}
# A run that lost its lock behind its worker's back hears of it with the next renewal, at a third of the lock.
TOLD_WITHIN_SECONDS: Final = LOCK_SECONDS / 3 + 3.0
LATE_SECONDS: Final = 0.5
# Times are floats, and the sums of them.
ALMOST: Final = 1e-6


@define
class _Run:
    """One run of a job: from the fetch on."""

    token: LockToken
    process: str
    fetched_at: float
    fetched_store_at: float
    started_at: float = 0.0
    told_at: float | None = None
    is_running: bool = False
    how: str = ""
    lost_by: str = ""
    lost_at: float = 0.0
    lines: int = 0
    is_throttled: bool = False


@define
class _Job:
    """One job as the model has it; `holder` is the run that may write to it."""

    holder: _Run | None = None
    ended_as: str = ""
    applied: dict[LockToken, str] = field(factory=dict)
    runs: dict[LockToken, _Run] = field(factory=dict)
    attempts: int = 0
    stalls: int = 0
    expires_store_at: float | None = None
    is_removed: bool = False


class RunChecker:
    """Hears every event in order, then judges how it ended; `report` takes what was wrong."""

    def __init__(self, plan: Plan, history: History, excuses: Excuses, report: Callable[[Event, str], None]) -> None:
        self._planned = JobsById(plan)
        features = plan.features
        edges = () if features is None else [edge for flow in features.flows for edge in flow.edges]
        self._parents = {parent_id for parent_id, _ in edges}
        self._history = history
        self._excuses = excuses
        self._report = report
        self._jobs: dict[str, _Job] = {}

    def ended_as(self, job_id: str) -> str:
        """Return how a job ended; nothing: it has not."""
        return self._jobs[job_id].ended_as if job_id in self._jobs else ""

    def hear(self, event: Event) -> None:
        """Take the next event."""
        follow = getattr(self, f"_on_{event.kind}", None)
        if follow is None:
            return
        if event.job_id:
            follow(event, self._jobs.setdefault(event.job_id, _Job()))
        else:
            follow(event)

    # What the store did.

    def _on_added(self, event: Event, job: _Job) -> None:
        fresh = self._jobs[event.job_id] = _Job(runs=job.runs, applied=job.applied)
        if event.job_id in self._planned and (expires := self._planned[event.job_id].expires_seconds):
            fresh.expires_store_at = event.store_at + expires

    def _on_fetched(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        if job.holder is not None and job.holder.token == event.token:
            return  # the same fetch, asked again
        if job.holder is not None or job.ended_as:
            self._report(event, f"fetched though it was {job.ended_as or 'active'}")
        if job.expires_store_at is not None and event.store_at >= job.expires_store_at + ALMOST:
            self._report(event, "fetched though it had expired")
        job.holder = job.runs[event.token] = _Run(event.token, event.process, event.at, event.store_at)

    def _on_settled(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        if job.applied.get(event.token) == event.detail:
            return  # the same settlement, written again
        if job.holder is None or job.holder.token != event.token:
            self._report(event, "a write of a run that no longer owns the job was accepted")
            return
        self._check_outcome(event, job.holder)
        job.applied[event.token] = event.detail
        job.attempts += event.is_counted
        job.holder = None
        job.ended_as = "" if event.detail in _WAITS else event.detail

    def _check_outcome(self, event: Event, run: _Run) -> None:
        planned = self._planned[event.job_id]
        if run.is_running:
            self._report(event, "settled while its handler runs")
        elif not run.how:
            self._report(event, "settled though its handler never began")
        elif run.how == "stopped" and event.is_counted and not _is_overdue(run, planned):
            self._report(event, f"a run that was stopped from outside was charged as {event.detail}")
        elif run.is_throttled and event.is_counted:
            self._report(event, "a handler that met a limit was charged an attempt")
        elif run.lines < planned.lines - (run.how == "stopped"):
            self._report(event, "settled before the lines of its run were written")

    def _on_refused(self, event: Event, job: _Job) -> None:
        if job.holder is not None and job.holder.token == event.token:
            self._report(event, "a write of the run that owns the job was refused")

    def _on_logged(self, event: Event, job: _Job) -> None:
        if job.holder is None or job.holder.token != event.token:
            self._report(event, "a line of a run that no longer owns the job was accepted")
            return
        job.holder.lines += 1

    def _on_released(self, event: Event, job: _Job) -> None:
        if job.holder is None or job.holder.token != event.token:
            self._report(event, "released by a run that no longer owned it")
            return
        if event.detail == "forgotten":
            self._lose(event, job, "forgotten")
            return
        run = self._lose(event, job, "released")
        at = event.at if run.told_at is None else run.told_at
        if run.how == "ended" and not self._excuses.may_have_lost_writes(run.process, at):
            self._report(event, "a run that had come to its end was thrown away")
        if run.is_running:
            self._report(event, "released while its handler runs")

    def _on_reclaimed(self, event: Event, job: _Job) -> None:
        if job.holder is None:
            self._report(event, "reclaimed though it was not active")
            return
        run = self._lose(event, job, "reclaimed")
        job.stalls += 1
        job.ended_as = "failed" if event.detail == JobState.FAILED else ""
        since = event.at - LOCK_SECONDS
        if self._excuses.is_healthy(run.process, since, event.at):
            self._report(event, "its lock ran out though its worker was healthy")
        if run.is_running and run.told_at is None and self._excuses.was_scheduled(run.process, since, event.at):
            self._report(event, "its handler still ran, in a worker that could tell, when the lock was over")

    def _on_cancelled(self, event: Event, job: _Job) -> None:
        if job.ended_as:
            self._report(event, f"cancelled though it was {job.ended_as}")
        if job.holder is not None:
            self._lose(event, job, "cancelled")
        job.ended_as = "cancelled"

    def _on_expired(self, event: Event, job: _Job) -> None:
        if job.holder is not None or job.ended_as:
            self._report(event, f"expired though it was {job.ended_as or 'active'}")
        if job.expires_store_at is None or event.store_at < job.expires_store_at - ALMOST:
            self._report(event, "expired before its time")
        job.ended_as = "cancelled"

    def _on_promoted(self, event: Event, job: _Job) -> None:
        if job.holder is not None or job.ended_as:
            self._report(event, f"promoted though it was {job.ended_as or 'active'}")

    def _on_rerun(self, event: Event, job: _Job) -> None:
        if not job.ended_as:
            self._report(event, "rerun though it had not ended")
        job.ended_as = ""
        job.attempts = job.stalls = 0
        job.expires_store_at = None

    def _on_removed(self, event: Event, job: _Job) -> None:
        if job.holder is not None:
            self._report(event, "removed while it was active")
        job.ended_as = "removed"
        job.is_removed = True

    def _on_outdated(self, event: Event, job: _Job) -> None:
        if not job.ended_as:
            self._report(event, "removed as outdated though it had not ended")
        job.ended_as = "removed"
        job.is_removed = True

    def _on_awaits_no_more(self, event: Event, job: _Job) -> None:
        """A child ended otherwise than completed, and its parent with it."""
        if event.detail == JobState.FAILED:
            job.ended_as = "failed"

    def _on_awaits(self, event: Event, job: _Job) -> None:
        if job.holder is not None or job.ended_as:
            self._report(event, f"waits for its children though it was {job.ended_as or 'active'}")

    def _lose(self, event: Event, job: _Job, how: str) -> _Run:
        assert job.holder is not None
        run, job.holder = job.holder, None
        run.lost_by, run.lost_at = how, event.at
        return run

    # What handlers did.

    def _on_started(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        run = job.runs.get(event.token)
        if run is None or run.is_running or run.how:
            self._report(event, "started a second time under one lock")
            return
        run.is_running, run.started_at = True, event.at
        if not run.lost_by:
            self._check_overlap(event, job, run)
        elif not self._may_not_know(run, event.at):
            self._report(event, f"started after its lock was {run.lost_by}")
        if job.expires_store_at is not None:
            seconds_left = job.expires_store_at - run.fetched_store_at
            if event.at - run.fetched_at > seconds_left + ALMOST:
                self._report(event, "started though it had expired since it was fetched")

    def _check_overlap(self, event: Event, job: _Job, run: _Run) -> None:
        for other in job.runs.values():
            is_running = other is not run and other.is_running and other.told_at is None
            if is_running and not self._may_not_know(other, event.at):
                self._report(event, f"two runs overlap: the other's lock was {other.lost_by or 'not over'}")

    def _may_not_know(self, run: _Run, at: float) -> bool:
        """Whether the worker of a run may not have heard yet that its lock is lost."""
        if run.lost_by == "reclaimed":
            return not self._excuses.was_scheduled(run.process, run.lost_at - LOCK_SECONDS, at)
        if run.lost_by in ("cancelled", "forgotten"):
            is_news = at - run.lost_at <= TOLD_WITHIN_SECONDS
            return is_news or not self._excuses.was_reached(run.process, run.lost_at, at)
        return False

    def _on_throttled(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        job.runs[event.token].is_throttled = True

    def _on_told(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        run = job.runs[event.token]
        run.told_at = event.at
        self._check_told_in_time(event, run)

    def _on_ended(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        run = job.runs[event.token]
        run.is_running, run.how = False, event.detail
        if run.told_at is None:
            self._check_told_in_time(event, run)

    def _check_told_in_time(self, event: Event, run: _Run) -> None:
        """A run that has no lock any more is told so; so is one that takes longer than its timeout."""
        if run.lost_by in ("cancelled", "forgotten") and not self._may_not_know(run, event.at):
            self._report(event, f"ran on {event.at - run.lost_at:.1f} s after its lock was {run.lost_by}")
        timeout = self._planned[event.job_id].timeout_seconds
        if timeout is None or not self._excuses.was_scheduled(run.process, run.started_at, event.at):
            return
        if event.at - run.started_at > timeout + LATE_SECONDS:
            self._report(event, f"ran for {event.at - run.started_at:.1f} s in spite of its timeout")

    # What became of processes.

    def _on_crashed(self, event: Event) -> None:
        self._report(event, f"the worker crashed: {event.detail}")

    def _on_left(self, event: Event) -> None:
        for job_id, job in self._jobs.items():
            run = job.holder
            if run is None or run.process != event.process:
                continue
            if self._excuses.is_healthy(event.process, event.at - LOCK_SECONDS, event.at):
                self._report(event, f"left without handing back {job_id}")

    # How it ended.

    def check_end(self, report: Callable[[str], None]) -> None:
        """Judge the state in which everything was left."""
        for job_id, job in self._jobs.items():
            for sentence in self._wrong_in_the_end(job_id, job):
                report(f"end {job_id}: {sentence}")

    def _wrong_in_the_end(self, job_id: str, job: _Job) -> list[str]:
        final = self._history.final.get(job_id)
        if job.is_removed:
            return ["it was removed, and is there"] if final is not None else []
        if final is None:
            return ["lost"]
        if not final.state.is_settled:
            return [f"still {final.state}, long after the last fault"]
        wrong = []
        if final.state != job.ended_as:
            wrong.append(f"{final.state}, and the history says {job.ended_as or 'not ended'}")
        if (final.attempts_made, final.stalled_count) != (job.attempts, job.stalls):
            charged = f"{final.attempts_made} attempts and {final.stalled_count} stalls were charged"
            wrong.append(f"{charged}, and {job.attempts} and {job.stalls} happened")
        if final.attempts_made > final.options.attempts:
            wrong.append(f"{final.attempts_made} attempts, {final.options.attempts} allowed")
        may_fail = job_id in self._parents or _may_fail(self._planned[job_id], job)
        if final.state is JobState.FAILED and not may_fail:
            wrong.append("failed though its handler never would")
        return wrong


def _is_overdue(run: _Run, planned: PlannedJob) -> bool:
    if planned.timeout_seconds is None or run.told_at is None:
        return False
    return run.told_at - run.started_at >= planned.timeout_seconds - ALMOST


def _may_fail(planned: PlannedJob, job: _Job) -> bool:
    return job.stalls > MAX_STALLED or planned.timeout_seconds is not None or planned.failures >= planned.attempts
