"""The gaps between the transactions of this process, wide enough for other writers to get in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Gaps"]

# SQLite gives the write lock to whoever asks at the right moment, and those who wait ask ten times a second. So
# after a transaction that kept others waiting, the next of this process comes late enough for them to get in.
_OTHERS_ASK_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 0.15
# Whoever was refused meanwhile comes back after a while: a lock renewal after a tenth of its interval, which is
# as long as a transaction may be.
_PAUSE_SHARE: Final = 0.15
# Short ones that follow each other keep others waiting, too, where these find the lock taken whenever they ask.
_STREAK_SECONDS: Final = 1.0
_MOST_HELD_SHARE: Final = 0.8


@define
class Gaps:
    """Tells from when on the next transaction of this process may begin.

    Attributes:
        busy_timeout: how long other writers wait before they are refused.
        free_at: no transaction begins before this time.
    """

    busy_timeout: timedelta
    free_at: float = field(init=False, default=0.0)
    _ended_at: float = field(init=False, default=0.0)
    _streak_began_at: float = field(init=False, default=0.0)
    _streak_held: float = field(init=False, default=0.0)

    def note(self, began_at: float, ended_at: float, longest: timedelta) -> None:
        """Take note of a transaction, in seconds of one clock, that might have taken so long."""
        held = ended_at - began_at
        if held >= self.busy_timeout.total_seconds():
            self._pause(ended_at, max(_PAUSE_SECONDS, longest.total_seconds() * _PAUSE_SHARE))
        elif held >= _OTHERS_ASK_SECONDS or self._is_crowding(began_at, ended_at):
            self._pause(ended_at, _PAUSE_SECONDS)
        self._ended_at = ended_at

    def _is_crowding(self, began_at: float, ended_at: float) -> bool:
        """Whether this one ends a streak of short ones that left others hardly a gap."""
        if began_at - self._ended_at >= _OTHERS_ASK_SECONDS:
            self._streak_began_at, self._streak_held = began_at, 0.0
        self._streak_held += ended_at - began_at
        seconds = ended_at - self._streak_began_at
        if seconds < _STREAK_SECONDS:
            return False
        is_crowding = self._streak_held > _MOST_HELD_SHARE * seconds
        self._streak_began_at, self._streak_held = ended_at, 0.0
        return is_crowding

    def _pause(self, ended_at: float, seconds: float) -> None:
        self.free_at = ended_at + seconds
