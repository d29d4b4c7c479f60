"""The history of one simulated run: what the store did, what handlers did, and what was done to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

if TYPE_CHECKING:
    from conveyor.model.job import JobData
    from conveyor.model.locks import LockToken

__all__ = ["Event", "History"]

SESSION_ID: Final = re.compile("[0-9a-f]{32}")


@define
class Event:
    """One thing that happened, at a virtual time in seconds.

    Kinds of the store, noted as they take effect: added, fetched, settled, refused, released, reclaimed, cancelled,
    opened, extended, closed. Of handlers: started, ended. Of clients: acknowledged. Of processes: began, left,
    crashed. Of the nemesis: frozen, thawed, killed, cut_off, connected, jumped, healed.
    """

    at: float
    kind: str
    process: str = ""
    job_id: str = ""
    token: LockToken | None = None
    detail: str = ""
    is_counted: bool = False


@define
class History:
    """Everything noted, in order; and how the store stood in the end."""

    events: list[Event] = field(factory=list)
    sessions: dict[str, str] = field(factory=dict)
    final: dict[str, JobData] = field(factory=dict)

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
        self.events.append(Event(anyio.current_time(), kind, process, job_id, token, detail, is_counted))

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
