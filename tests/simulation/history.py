"""The history of one simulated run: what the store did, what handlers did, and what was done to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

if TYPE_CHECKING:
    from conveyor.model.job import JobData
    from conveyor.model.limits import QueueLimits
    from conveyor.model.locks import LockToken

__all__ = ["Event", "History"]

SESSION_ID: Final = re.compile("[0-9a-f]{32}")


@define
class Event:
    """One thing that happened, at a virtual time in seconds, which `store_at` is by the store's clock.

    Kinds of the store, noted as they take effect: added, fetched, settled, refused, released, reclaimed, logged,
    cancelled, promoted, rerun, removed, expired, outdated, waits and taken (a job in its line, and out of it), awaits
    and awaits_no_more (its children), repaired, paused, resumed and limited (a queue), scheduled and ticked (a
    schedule), opened, closed. Of handlers: started, told (to stop), ended, throttled. Of clients: acknowledged. Of
    processes: began, left, crashed. Of the nemesis: frozen, thawed, blocked, unblocked, killed, cut_off, connected,
    stopping, interrupted, forgotten, jumped, healed.
    """

    at: float
    kind: str
    process: str = ""
    job_id: str = ""
    token: LockToken | None = None
    detail: str = ""
    is_counted: bool = False
    store_at: float = 0.0


@define
class History:
    """Everything noted, in order; and how the store stood in the end.

    Attributes:
        sessions: which process opened which session.
        spoiled: when a call of a process failed.
        clock_offset: by how much the store's clock was set forward so far.
        limits: those that queues were given, by the numbers that the events have.
        kept: of the jobs that had ended and were kept when all was calm, how long ago they had.
    """

    events: list[Event] = field(factory=list)
    sessions: dict[str, str] = field(factory=dict)
    final: dict[str, JobData] = field(factory=dict)
    spoiled: list[tuple[float, str]] = field(factory=list)
    clock_offset: float = 0.0
    limits: list[QueueLimits] = field(factory=list)
    kept: dict[str, float] = field(factory=dict)

    def note(
        self,
        kind: str,
        process: str = "",
        job_id: str = "",
        token: LockToken | None = None,
        detail: str = "",
        *,
        is_counted: bool = False,
    ) -> None:
        """Add what happens now."""
        now = anyio.current_time()
        self.events.append(
            Event(now, kind, process, job_id, token, detail, is_counted, store_at=now + self.clock_offset)
        )

    def note_spoiled(self, process: str) -> None:
        """Add that a call of a process failed now."""
        self.spoiled.append((anyio.current_time(), process))

    def process_of(self, token: LockToken | None) -> str:
        """Return the process whose session a token belongs to."""
        return "" if token is None else self.sessions.get(token.session_id, "")

    def __str__(self) -> str:
        """Return the history as text, the same for the same seed: the ids of sessions are left out."""
        return "\n".join(map(self._line, self.events))

    def _line(self, event: Event) -> str:
        token = event.token
        run = "" if token is None else f"{self.process_of(token)}.{token.fetch_number}"
        detail = SESSION_ID.sub("…", event.detail)
        return f"{event.at:9.4f}  {event.process:<8} {event.kind:<13} {event.job_id:<8} {run:<8} {detail}".rstrip()
