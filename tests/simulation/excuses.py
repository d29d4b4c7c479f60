"""Excuses: what was done to a process, and when, that explains what its jobs went through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tests.simulation.plan import LOCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.history import Event, History

__all__ = ["LAST_WRITES_SECONDS", "Excuses"]

# From the fault to its end; one that has no end lasts for ever.
_ENDS: Final = {
    "frozen": "thawed",
    "blocked": "unblocked",
    "cut_off": "connected",
    "killed": "",
    "jumped": "jumped",
    "forgotten": "forgotten",
}
# So long after a process has come back it may still be catching up: calls under way, retries that wait.
AFTERWARDS_SECONDS: Final = 3.0
# The last writes of a process that stops are given up after so long.
LAST_WRITES_SECONDS: Final = 5.0
# So many calls of a process that fail in the time of the last writes may use that up.
MANY_SPOILED: Final = 4
# A call that takes so long in its turn is no excuse: the session is renewed three times in the time of a lock.
_STOPPED: Final = ("frozen", "blocked", "killed", "jumped")


class Excuses:
    """The faults of a history, as spans of time."""

    def __init__(self, history: History) -> None:
        events = history.events
        self._spans: dict[str, list[tuple[str, float, float]]] = {}
        self._left_at = {event.process: event.at for event in events if event.kind == "left"}
        self._spoiled = history.spoiled
        for number, event in enumerate(events):
            if event.kind in _ENDS:
                end = _end(event, events[number:])
                self._spans.setdefault(event.process, []).append((event.kind, event.at, end))

    def is_healthy(self, process: str, since: float, until: float) -> bool:
        """Whether nothing kept the process from renewing its locks in this time, or from its last writes before.

        A blocked loop is no excuse: the thread renews. Last writes, though, are the loop's.
        """
        if process in self._left_at:
            since = min(since, self._left_at[process] - LAST_WRITES_SECONDS)
            if self.has_spoiled(process, self._left_at[process]) or self._has(process, since, until, ("blocked",)):
                return False
        return not self._has(process, since, until, ("frozen", "cut_off", "killed", "jumped"))

    def has_spoiled(self, process: str, at: float) -> bool:
        """Whether so many calls of the process failed before this time that it may have given its last writes up."""
        spoiled = sum(name == process and at - LAST_WRITES_SECONDS <= when <= at for when, name in self._spoiled)
        return spoiled >= MANY_SPOILED

    def was_scheduled(self, process: str, since: float, until: float) -> bool:
        """Whether the process could run and tell the time, also where it could not reach the store."""
        return not self._has(process, since, until, _STOPPED)

    def was_reached(self, process: str, since: float, until: float) -> bool:
        """Whether the process could run, and could reach the store."""
        return not self._has(process, since, until, (*_STOPPED, "cut_off"))

    def was_untouched(self, process: str, since: float, until: float) -> bool:
        """Whether nothing at all was done to it, or to its session."""
        return not self._has(process, since, until, (*_STOPPED, "cut_off", "forgotten"))

    def may_have_lost_writes(self, process: str, at: float) -> bool:
        """Whether the process was kept from writing at this time, or shortly before."""
        if process in self._left_at and self.has_spoiled(process, self._left_at[process]):
            return True
        return self._has(process, at - LAST_WRITES_SECONDS, at, ("frozen", "blocked", "cut_off", "killed"))

    def has_jumped(self, since: float, until: float) -> bool:
        """Whether the store's clock was set in this time, or shortly before."""
        return any(
            kind == "jumped" and since <= at + LOCK_SECONDS and at <= until for kind, at, _ in self._spans.get("", ())
        )

    def _has(self, process: str, since: float, until: float, kinds: Sequence[str]) -> bool:
        spans = (*self._spans.get(process, ()), *self._spans.get("", ()))
        return any(kind in kinds and begin <= until and end + AFTERWARDS_SECONDS >= since for kind, begin, end in spans)


def _end(fault: Event, later: Sequence[Event]) -> float:
    wanted = _ENDS[fault.kind]
    ends = (event.at for event in later if event.kind == wanted and event.process == fault.process)
    healed = (event.at for event in later if event.kind == "healed")
    return min(next(ends, math.inf), next(healed, math.inf)) if wanted else math.inf
