"""Excuses: what was done to a process, and when, that explains what its jobs went through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.history import Event

__all__ = ["Excuses"]

# From the fault to its end; one that has no end lasts for ever.
_ENDS: Final = {"frozen": "thawed", "cut_off": "connected", "killed": "", "jumped": "jumped"}
# So long after a process has come back it may still be catching up: calls under way, retries that wait.
AFTERWARDS_SECONDS: Final = 3.0
# The last writes of a process that stops are given up after so long.
LAST_WRITES_SECONDS: Final = 5.0


class Excuses:
    """The faults of a history, as spans of time."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._spans: dict[str, list[tuple[str, float, float]]] = {}
        self._left_at = {event.process: event.at for event in events if event.kind == "left"}
        for number, event in enumerate(events):
            if event.kind in _ENDS:
                end = _end(event, events[number:])
                self._spans.setdefault(event.process, []).append((event.kind, event.at, end))

    def is_healthy(self, process: str, since: float, until: float) -> bool:
        """Whether nothing kept the process from renewing its locks in this time, or from its last writes before."""
        if process in self._left_at:
            since = min(since, self._left_at[process] - LAST_WRITES_SECONDS)
        return not self._has(process, since, until, ("frozen", "cut_off", "killed", "jumped"))

    def was_scheduled(self, process: str, since: float, until: float) -> bool:
        """Whether the process could run and tell the time, also where it could not reach the store."""
        return not self._has(process, since, until, ("frozen", "killed", "jumped"))

    def may_have_lost_writes(self, process: str, at: float) -> bool:
        """Whether the process was kept from writing at this time, or shortly before."""
        return self._has(process, at - LAST_WRITES_SECONDS, at, ("frozen", "cut_off", "killed"))

    def _has(self, process: str, since: float, until: float, kinds: Sequence[str]) -> bool:
        spans = (*self._spans.get(process, ()), *self._spans.get("", ()))
        return any(kind in kinds and begin <= until and end + AFTERWARDS_SECONDS >= since for kind, begin, end in spans)


def _end(fault: Event, later: Sequence[Event]) -> float:
    wanted = _ENDS[fault.kind]
    ends = (event.at for event in later if event.kind == wanted and event.process == fault.process)
    healed = (event.at for event in later if event.kind == "healed")
    return min(next(ends, math.inf), next(healed, math.inf)) if wanted else math.inf
