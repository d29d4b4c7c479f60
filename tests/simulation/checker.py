"""The checker: reads a history, and says which promises were broken.

It follows every job through a model of its own, from what the store noted as it happened, and lays beside it what
handlers did and what the nemesis did to their processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field

from conveyor.model.states import JobState
from tests.simulation.excuses import Excuses
from tests.simulation.plan import LOCK_SECONDS, MAX_STALLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.locks import LockToken
    from tests.simulation.history import Event, History
    from tests.simulation.plan import Plan

__all__ = ["check"]

_WAITS: Final = {"retried", "snoozed"}


@define
class _Run:
    """One run of a job: from the fetch on."""

    token: LockToken
    process: str
    is_running: bool = False
    how: str = ""
    lost_by: str = ""


@define
class _Job:
    """One job as the model has it; `holder` is the run that may write to it."""

    holder: _Run | None = None
    ended_as: str = ""
    applied: dict[LockToken, str] = field(factory=dict)
    runs: dict[LockToken, _Run] = field(factory=dict)
    attempts: int = 0
    stalls: int = 0


def check(plan: Plan, history: History) -> list[str]:
    """Return the broken promises, one line each."""
    return _Checker(plan, history).check()


class _Checker:
    def __init__(self, plan: Plan, history: History) -> None:
        self._plan = plan
        self._history = history
        self._excuses = Excuses(history.events)
        self._jobs: dict[str, _Job] = {}
        self._broken: list[str] = []

    def check(self) -> list[str]:
        for event in self._history.events:
            follow = getattr(self, f"_on_{event.kind}", None)
            if follow is not None:
                follow(event, self._jobs.setdefault(event.job_id, _Job()))
        self._jobs.pop("", None)
        for job_id, job in self._jobs.items():
            self._check_end(job_id, job)
        if self._plan.is_calm:
            self._check_order()
        return self._broken

    def _report(self, event: Event, sentence: str) -> None:
        self._broken.append(f"{event.at:.4f} {event.job_id} {event.process}: {sentence}")

    # What the store did.

    def _on_fetched(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        if job.holder is not None and job.holder.token == event.token:
            return  # the same fetch, asked again
        if job.holder is not None or job.ended_as:
            self._report(event, f"fetched though it was {job.ended_as or 'active'}")
        job.holder = job.runs[event.token] = _Run(event.token, event.process)

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
        if run.is_running:
            self._report(event, "settled while its handler runs")
        elif not run.how:
            self._report(event, "settled though its handler never began")
        elif run.how == "stopped" and event.is_counted and not self._has_timeout(event.job_id):
            self._report(event, f"a run that was stopped from outside was charged as {event.detail}")

    def _has_timeout(self, job_id: str) -> bool:
        return any(job.id == job_id and job.timeout_seconds is not None for job in self._plan.jobs)

    def _on_refused(self, event: Event, job: _Job) -> None:
        if job.holder is not None and job.holder.token == event.token:
            self._report(event, "a write of the run that owns the job was refused")

    def _on_released(self, event: Event, job: _Job) -> None:
        if job.holder is None or job.holder.token != event.token:
            self._report(event, "released by a run that no longer owned it")
            return
        run = self._lose(job, "released")
        if run.how == "ended" and not self._excuses.may_have_lost_writes(run.process, event.at):
            self._report(event, "a run that had come to its end was thrown away")
        if run.is_running:
            self._report(event, "released while its handler runs")

    def _on_reclaimed(self, event: Event, job: _Job) -> None:
        if job.holder is None:
            self._report(event, "reclaimed though it was not active")
            return
        run = self._lose(job, "reclaimed")
        job.stalls += 1
        job.ended_as = "failed" if event.detail == JobState.FAILED else ""
        since = event.at - LOCK_SECONDS
        if self._excuses.is_healthy(run.process, since, event.at):
            self._report(event, "its lock ran out though its worker was healthy")
        if run.is_running and self._excuses.was_scheduled(run.process, since, event.at):
            self._report(event, "its handler still ran, in a worker that could tell, when the lock was over")

    def _on_cancelled(self, event: Event, job: _Job) -> None:
        if job.holder is not None:
            self._lose(job, "cancelled")
        job.ended_as = "cancelled"

    def _lose(self, job: _Job, how: str) -> _Run:
        assert job.holder is not None
        run, job.holder = job.holder, None
        run.lost_by = how
        return run

    # What handlers did.

    def _on_started(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        run = job.runs.get(event.token)
        if run is None or run.is_running or run.how:
            self._report(event, "started a second time under one lock")
            return
        run.is_running = True
        is_lost_by_clock = run.lost_by == "reclaimed" and not self._excuses.was_scheduled(
            run.process, event.at - LOCK_SECONDS, event.at
        )
        if run.lost_by in ("reclaimed", "released") and not is_lost_by_clock:
            self._report(event, f"started after its lock was {run.lost_by}")

    def _on_ended(self, event: Event, job: _Job) -> None:
        assert event.token is not None
        run = job.runs[event.token]
        run.is_running, run.how = False, event.detail

    def _on_crashed(self, event: Event, job: _Job) -> None:
        self._report(event, f"the worker crashed: {event.detail}")

    # How it ended.

    def _check_end(self, job_id: str, job: _Job) -> None:
        final = self._history.final.get(job_id)
        if final is None:
            self._broken.append(f"end {job_id}: lost")
            return
        if not final.state.is_settled:
            self._broken.append(f"end {job_id}: still {final.state}, long after the last fault")
            return
        if final.state != job.ended_as:
            self._broken.append(f"end {job_id}: {final.state}, and the history says {job.ended_as or 'not ended'}")
        # A rerun would begin anew, and nobody reruns here.
        if (final.attempts_made, final.stalled_count) != (job.attempts, job.stalls):
            self._broken.append(
                f"end {job_id}: {final.attempts_made} attempts and {final.stalled_count} stalls were charged, "
                f"and {job.attempts} and {job.stalls} happened"
            )
        if final.attempts_made > final.options.attempts:
            self._broken.append(f"end {job_id}: {final.attempts_made} attempts, {final.options.attempts} allowed")
        if final.state is JobState.FAILED and not self._may_fail(job_id, job):
            self._broken.append(f"end {job_id}: failed though its handler never would")

    def _may_fail(self, job_id: str, job: _Job) -> bool:
        (planned,) = (planned for planned in self._plan.jobs if planned.id == job_id)
        return job.stalls > MAX_STALLED or planned.timeout_seconds is not None or planned.failures >= planned.attempts

    def _check_order(self) -> None:
        jobs = {job.id: job for job in self._plan.jobs}
        added = [event.job_id for event in self._history.events if event.kind == "added"]
        wanted = sorted(dict.fromkeys(added), key=lambda job_id: jobs[job_id].priority)
        started = [event.job_id for event in self._history.events if event.kind == "started"]
        if started != wanted:
            self._broken.append(f"order: one worker ran {_words(started)}; it should have been {_words(wanted)}")


def _words(job_ids: Sequence[str]) -> str:
    return " ".join(job_ids)
