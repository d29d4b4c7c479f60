"""No runnable job waits while a healthy worker has a free slot (P7): longer than one wake-up, or than the polling
fallback where notifications are lost. What suspects keep from whom, `turns` knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.plan import POLL_SECONDS
from tests.simulation.turns import SuspectTurns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.excuses import Excuses
    from tests.simulation.history import Event
    from tests.simulation.plan import Plan

__all__ = ["WaitChecker"]

# A job fetched ahead may go back and forth once.
SLACK_SECONDS: Final = 1.0
# A worker that comes back may have missed its hints, and calls under way catch up.
BACK_SECONDS: Final = 3.0 + POLL_SECONDS
# A promoter that lost touch looks again after a second.
PROMOTER_SECONDS: Final = 2.0
# A ticker that heard nothing looks all the same so often.
TICKER_SECONDS: Final = 60.0
_FAULTS: Final = {"frozen": "thawed", "blocked": "unblocked", "cut_off": "connected"}
_AWAY: Final = frozenset({*_FAULTS, "killed", "stopping", "interrupted", "left", "crashed"})
_BACK: Final = {end: begin for begin, end in _FAULTS.items()}


class WaitChecker:
    """Hears every event in order."""

    def __init__(
        self,
        plan: Plan,
        excuses: Excuses,
        report: Callable[[Event, str], None],
        room_since: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        """Follow all queues; `room_since` says since when no limit keeps a job from starting."""
        self._plan = plan
        self._room_since = room_since
        self._excuses = excuses
        self._report = report
        self._waiting: dict[str, tuple[float, str]] = {}
        self._paused: set[str] = set()
        # Of each process that is well: since when, how many jobs run in it, since when it has had a free slot.
        self._well_since: dict[str, float] = {}
        self._running: dict[str, int] = {}
        self._free_since: dict[str, float] = {}
        self._faults: dict[str, set[str]] = {}
        self._opened: set[str] = set()
        self._leaving: set[str] = set()
        self._longest = self._longest_wait()
        self._turns = SuspectTurns(plan, excuses, self._longest, report, room_since)

    def _longest_wait(self) -> float:
        plan = self._plan
        seconds = SLACK_SECONDS + 8 * plan.slowness
        if plan.deafness or plan.flakiness:
            seconds += POLL_SECONDS
        # Calls that fail are repeated, each time later.
        return seconds + (10.0 if plan.flakiness else 0.0)

    def hear(self, event: Event) -> None:
        """Take the next event; judge first what lasted until now."""
        self._judge(event)
        self._turns.hear(event)
        follow = getattr(self, f"_on_{event.kind}", None)
        if follow is not None:
            follow(event)
        elif event.kind in _AWAY:
            self._go_away(event)
        elif event.kind in _BACK:
            self._faults[event.process].discard(_BACK[event.kind])
            self._come_back(event.process, event.at + BACK_SECONDS)

    def _judge(self, event: Event) -> None:
        if not self._waiting or not self._free_since:
            return
        free_since = min(max(since, self._turns.open_since(process)) for process, since in self._free_since.items())
        for job_id, (since, queue_name) in list(self._waiting.items()):
            begin = max(since, free_since, self._room_since(job_id))
            if queue_name not in self._paused and event.at - begin > self._longest:
                self._report(event, f"{job_id} waited {event.at - begin:.1f} s for a worker that had a free slot")
                del self._waiting[job_id]

    # Jobs.

    def _on_waits(self, event: Event) -> None:
        queue_name, *suspect = event.detail.split()
        self._waiting.pop(event.job_id, None)
        if not suspect:
            self._waiting[event.job_id] = (event.at, queue_name)

    def _on_taken(self, event: Event) -> None:
        self._waiting.pop(event.job_id, None)

    def _on_paused(self, event: Event) -> None:
        self._paused.add(event.detail)

    def _on_resumed(self, event: Event) -> None:
        self._paused.discard(event.detail)
        for job_id, (_, queue_name) in list(self._waiting.items()):
            if queue_name == event.detail:
                self._waiting[job_id] = (event.at, queue_name)

    def _on_promoted(self, event: Event) -> None:
        """Judge how late it was."""
        if not event.detail:
            return  # by hand
        self._judge_lateness(event, float(event.detail), self._longest)

    def _on_ticked(self, event: Event) -> None:
        """Judge how late it was; that a schedule was made is news which may be lost."""
        *_, tick_at, at = event.detail.split()
        may_be_lost = self._plan.deafness or self._plan.cuts
        longest = self._longest + (TICKER_SECONDS if may_be_lost else 0.0)
        self._judge_lateness(event, float(at) - float(tick_at), longest)

    def _judge_lateness(self, event: Event, late_seconds: float, longest: float) -> None:
        began_at = event.at - late_seconds
        if late_seconds <= longest + PROMOTER_SECONDS or self._excuses.has_jumped(began_at, event.at):
            return
        if any(since <= began_at for since in self._well_since.values()):
            self._report(event, f"{event.kind} {late_seconds:.1f} s late")

    # Processes.

    def _on_opened(self, event: Event) -> None:
        self._opened.add(event.process)
        self._come_back(event.process, event.at + SLACK_SECONDS)

    def _on_forgotten(self, event: Event) -> None:
        self._come_back(event.process, event.at + BACK_SECONDS)

    def _on_healed(self, event: Event) -> None:
        self._faults.clear()
        for process in self._opened:
            self._come_back(process, event.at + BACK_SECONDS)

    def _go_away(self, event: Event) -> None:
        if event.kind in _FAULTS:
            self._faults.setdefault(event.process, set()).add(event.kind)
        else:
            self._leaving.add(event.process)
        self._well_since.pop(event.process, None)
        self._free_since.pop(event.process, None)

    def _come_back(self, process: str, at: float) -> None:
        if process in self._leaving or process not in self._opened or self._faults.get(process):
            return
        at = max(at, self._well_since.get(process, 0.0))
        self._well_since[process] = at
        if self._running.get(process, 0) < self._plan.concurrency:
            self._free_since[process] = at

    def _on_started(self, event: Event) -> None:
        self._running[event.process] = self._running.get(event.process, 0) + 1
        if self._running[event.process] >= self._plan.concurrency:
            self._free_since.pop(event.process, None)

    def _on_ended(self, event: Event) -> None:
        self._running[event.process] -= 1
        if event.process in self._well_since:
            self._free_since.setdefault(event.process, max(event.at, self._well_since[event.process]))
