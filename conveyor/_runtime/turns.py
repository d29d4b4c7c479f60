"""Turns: slots whose jobs never wait let the rest of the program run once in a while."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["LONGEST_SECONDS", "Turn"]

# Shorter, and small jobs cost more: what runs beside them on another thread, SQLite's writer above all, waits for
# the interpreter after each statement. A turn after every twenty jobs made the hot path a third slower.
LONGEST_SECONDS: Final = 0.01


class Turn:
    """How long a slot may still go on without a checkpoint. A handler that waits has others run anyway."""

    def __init__(self) -> None:
        """Begin."""
        self.begin()

    def begin(self) -> None:
        """Others have just had theirs."""
        self._ends_at = time.monotonic() + LONGEST_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether others should have theirs now."""
        return time.monotonic() >= self._ends_at
