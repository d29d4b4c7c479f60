"""Turns: suspects and the others alternate in a worker, so neither kind waits for more than one turn of the other.

A worker that makes room for a suspect takes nothing else until what it runs has ended, and nothing while the suspect
runs. That is all: a worker that is empty goes on, and a second suspect comes after those who waited for the first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.locks import LockToken
    from tests.simulation.excuses import Excuses
    from tests.simulation.history import Event
    from tests.simulation.plan import Plan

__all__ = ["SuspectTurns"]

# A worker that makes room for a suspect which another took, or which is gone, looks again after a second.
LOOK_SECONDS: Final = 1.5
_LOST: Final = ("released", "reclaimed", "cancelled", "settled")


class SuspectTurns:
    """Hears every event in order; reports whoever had to let two suspects pass."""

    def __init__(
        self,
        plan: Plan,
        excuses: Excuses,
        longest: float,
        report: Callable[[Event, str], None],
        room_since: Callable[[str], float],
    ) -> None:
        """Follow workers that let a job wait so long at most where there are no suspects.

        `room_since` says since when no limit keeps a job from starting.
        """
        self._room_since = room_since
        self._plan = plan
        self._excuses = excuses
        self._longest = longest
        self._report = report
        self._paused: set[str] = set()
        # Those that wait: where, and since when.
        self._suspects: dict[str, str] = {}
        self._others: dict[str, tuple[str, float]] = {}
        # Of each process: what runs in it, the suspects that it holds, and since when nothing of that kind holds it.
        self._running: dict[str, set[tuple[str, LockToken | None]]] = {}
        self._alone: dict[str, dict[tuple[str, LockToken | None], float]] = {}
        self._open_since: dict[str, float] = {}
        # Who waited in vain since so long while a suspect ran there, and has not had his turn.
        self._passed: dict[str, dict[str, float]] = {}

    def open_since(self, process: str) -> float:
        """Return since when no suspect keeps a process from taking others; infinite: one does."""
        return self._open_since.get(process, 0.0)

    def hear(self, event: Event) -> None:
        """Take the next event."""
        follow = getattr(self, f"_on_{event.kind}", None)
        if follow is not None:
            follow(event)
        if event.kind in _LOST:
            self._lose(event)
        self._see_who_is_held(event)

    def _see_who_is_held(self, event: Event) -> None:
        is_wanted = any(queue not in self._paused for queue in self._suspects.values())
        for process in self._running.keys() | self._alone.keys():
            is_held = bool(self._alone.get(process)) or (is_wanted and bool(self._running.get(process)))
            if is_held:
                self._open_since[process] = math.inf
            elif self._open_since.get(process) == math.inf:
                self._open_since[process] = event.at + LOOK_SECONDS

    def _on_waits(self, event: Event) -> None:
        queue_name, *suspect = event.detail.split()
        if suspect:
            self._suspects[event.job_id] = queue_name
        else:
            self._others[event.job_id] = queue_name, event.at

    def _on_taken(self, event: Event) -> None:
        self._suspects.pop(event.job_id, None)
        self._others.pop(event.job_id, None)

    def _on_paused(self, event: Event) -> None:
        self._paused.add(event.detail)

    def _on_resumed(self, event: Event) -> None:
        self._paused.discard(event.detail)
        self._others = {
            job_id: (queue, event.at if queue == event.detail else since)
            for job_id, (queue, since) in self._others.items()
        }

    def _on_fetched(self, event: Event) -> None:
        alone = self._alone.setdefault(event.process, {})
        if event.job_id not in self._suspects or (event.job_id, event.token) in alone:
            return
        for job_id, since in self._passed.pop(event.process, {}).items():
            queue, waits_since = self._others.get(job_id, ("", math.inf))
            waits_since = max(waits_since, self._room_since(job_id))
            waited = event.at - waits_since
            is_excused = queue in self._paused or not self._excuses.was_untouched(event.process, since, event.at)
            if waits_since <= since and waited > self._longest and not is_excused:
                self._report(event, f"{job_id} had to let a second suspect pass, after {waited:.1f} s")
        alone[event.job_id, event.token] = event.at

    def _on_started(self, event: Event) -> None:
        running = self._running.setdefault(event.process, set())
        running.add((event.job_id, event.token))
        if len(running) >= self._plan.concurrency and not self._alone.get(event.process):
            self._passed.pop(event.process, None)

    def _on_ended(self, event: Event) -> None:
        self._running[event.process].discard((event.job_id, event.token))
        self._end_suspect(event.process, (event.job_id, event.token))

    def _lose(self, event: Event) -> None:
        """A suspect that was taken back before it began keeps nobody any more."""
        for process, alone in self._alone.items():
            for run in [run for run in alone if run[0] == event.job_id and event.token in (None, run[1])]:
                if run not in self._running.get(process, ()):
                    self._end_suspect(process, run)

    def _end_suspect(self, process: str, run: tuple[str, LockToken | None]) -> None:
        since = self._alone.get(process, {}).pop(run, None)
        if since is None:
            return
        waited = {job_id for job_id, (_, waits_since) in self._others.items() if waits_since <= since}
        self._passed[process] = dict.fromkeys(waited, since)
