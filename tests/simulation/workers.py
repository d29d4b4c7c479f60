"""What workers promise beside their jobs: suspects run alone (P8), jobs fetched ahead go back, stopping ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.excuses import LAST_WRITES_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.locks import LockToken
    from tests.simulation.excuses import Excuses
    from tests.simulation.history import Event
    from tests.simulation.plan import Plan

__all__ = ["WorkerChecker"]

# A job that was fetched ahead goes back after 0.1 s; then that has to be written.
STALE_SECONDS: Final = 0.1
SLACK_SECONDS: Final = 2.0


class WorkerChecker:
    """Hears every event in order."""

    def __init__(self, plan: Plan, excuses: Excuses, report: Callable[[Event, str], None]) -> None:
        self._plan = plan
        self._excuses = excuses
        self._report = report
        self._suspects: set[str] = set()
        self._runs: dict[tuple[str, LockToken | None], bool] = {}
        self._process: dict[tuple[str, LockToken | None], str] = {}
        self._unstarted: dict[tuple[str, LockToken | None], Event] = {}
        # A worker that was paused begins what it fetched before others saw it stall: it could not know.
        self._fetched_as_suspect: dict[tuple[str, LockToken | None], bool] = {}
        self._stopping: dict[str, Event] = {}
        self._longest_hold = max((job.hold_seconds for job in plan.jobs), default=0.0)
        # A call goes and comes; one that fails is repeated, each time later.
        self._slack = SLACK_SECONDS + 8 * plan.slowness + (10.0 if plan.flakiness else 0.0)

    def hear(self, event: Event) -> None:
        """Take the next event."""
        follow = getattr(self, f"_on_{event.kind}", None)
        if follow is not None:
            follow(event)

    def _on_reclaimed(self, event: Event) -> None:
        self._suspects.add(event.job_id)
        self._unstarted.pop((event.job_id, event.token), None)

    def _on_rerun(self, event: Event) -> None:
        self._suspects.discard(event.job_id)

    def _on_added(self, event: Event) -> None:
        self._suspects.discard(event.job_id)

    def _on_fetched(self, event: Event) -> None:
        self._unstarted.setdefault((event.job_id, event.token), event)
        self._fetched_as_suspect.setdefault((event.job_id, event.token), event.job_id in self._suspects)

    def _on_cancelled(self, event: Event) -> None:
        for run in [run for run in self._unstarted if run[0] == event.job_id]:
            del self._unstarted[run]

    def _on_started(self, event: Event) -> None:
        run = (event.job_id, event.token)
        is_suspect = self._fetched_as_suspect.get(run, event.job_id in self._suspects)
        for other, is_other_suspect in self._runs.items():
            if self._process[other] == event.process and (is_suspect or is_other_suspect):
                self._report(event, f"a suspect did not run alone: {other[0]} ran beside it")
        self._runs[run] = is_suspect
        self._process[run] = event.process
        self._judge_waiting(event)

    def _on_ended(self, event: Event) -> None:
        self._runs.pop((event.job_id, event.token), None)

    def _on_released(self, event: Event) -> None:
        self._judge_waiting(event)

    def _judge_waiting(self, event: Event) -> None:
        fetched = self._unstarted.pop((event.job_id, event.token), None)
        if fetched is None or event.at - fetched.at <= STALE_SECONDS + self._slack:
            return
        if self._excuses.was_untouched(event.process, fetched.at, event.at):
            self._report(event, f"fetched {event.at - fetched.at:.1f} s before it {event.kind}")

    def _on_stopping(self, event: Event) -> None:
        self._stopping.setdefault(event.process, event)

    def _on_interrupted(self, event: Event) -> None:
        self._stopping[event.process] = event

    def _on_left(self, event: Event) -> None:
        asked = self._stopping.pop(event.process, None)
        if asked is None:
            self._report(event, "left though nobody asked it to")
            return
        if event.at - asked.at > self._longest_stop and self._excuses.was_reached(event.process, asked.at, event.at):
            self._report(event, f"took {event.at - asked.at:.1f} s to stop")

    def _on_killed(self, event: Event) -> None:
        self._stopping.pop(event.process, None)

    def _on_over(self, event: Event) -> None:
        for process in self._stopping:
            self._report(event, f"{process} never left")

    @property
    def _longest_stop(self) -> float:
        return self._plan.grace_seconds + self._longest_hold + LAST_WRITES_SECONDS + self._slack
