"""The flusher: looks at the buffers of its program, sleeps until the next is due, and looks again.

Whatever comes into a buffer, from this program or another, it finds at its next look, which comes after a second where
any buffer here has a trigger: a buffer is there to wait, and to tell of each add would cost more than it. Where there
is so much in buffers that to count it takes long, it looks less often.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor._services.maintenance.flush import FlushPass
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from datetime import timedelta

    from conveyor._runtime.transient import Outage
    from conveyor._services.services import Services

__all__ = ["Flusher"]

LOOK_SECONDS: Final = 1.0
# Counting takes a twentieth of the time at most.
REST_PER_COUNTING: Final = 19
# Buffers that nobody registers are looked for, too, so that somebody is told.
LONGEST_SLEEP_SECONDS: Final = 60.0


class Flusher:
    """Flushes the buffers whose triggers say so."""

    def __init__(self, services: Services, *, outage: Outage) -> None:
        """Bind to an app."""
        self._services = services
        self._outage = outage
        self._wakeup = Wakeup()

    async def run(self) -> None:
        """Look for ever; return at once where the app has nowhere to keep buffers."""
        flush_pass = FlushPass(self._services)
        self._services.buffers.on_registered = self._wakeup.set
        # Whoever adds to a buffer that has no place is told so.
        with suppress(CapabilityError):
            while True:
                wait = await until_available(flush_pass.look, "flush buffers", self._outage)
                await self._wakeup.wait(self._seconds(wait, flush_pass.counting_seconds * REST_PER_COUNTING))

    def _seconds(self, wait: timedelta | None, rest: float) -> float:
        has_triggers = any(buffer.has_triggers for buffer in self._services.buffers.by_id.values())
        longest = min(max(LOOK_SECONDS, rest), LONGEST_SLEEP_SECONDS) if has_triggers else LONGEST_SLEEP_SECONDS
        return longest if wait is None else min(max(wait.total_seconds(), 0.0), longest)
