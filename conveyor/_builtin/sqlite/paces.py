"""How long statements take for a row, by how long they took: short ones need not go to another thread."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Paces"]

# For how long one statement may keep the event loop: reading a chunk of rows takes about as long.
SHORT_SECONDS: Final = 0.001
# What is believed of a statement that never ran: that it is slow.
UNKNOWN_SECONDS: Final = 0.1
# So many rows tell all that is known of the next ones; fewer tell as much less.
TELLING_ROWS: Final = 20
MOST_STATEMENTS: Final = 100

# Whatever its values are, it takes about as long.
_INSERT: Final = re.compile(r"\s*(insert|replace)\b(?!.*\bselect\b)", re.IGNORECASE | re.DOTALL)


class Paces:
    """What is known of statements, by their text: of those that are run for many rows, and of inserts."""

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        """Know nothing yet; the timer tells seconds."""
        self._timer = timer
        self._seconds: dict[str, float] = {}

    def is_short(self, sql: str, rows: int) -> bool:
        """Whether a statement will soon be through with so many rows, if it goes on as it did."""
        return self._seconds.get(sql, UNKNOWN_SECONDS) * rows <= SHORT_SECONDS and _is_even(sql, rows)

    def measure(self, sql: str, rows: int, work: Callable[[], int]) -> int:
        """Run a statement for so many rows, take note of how long that takes, and return what it returns."""
        began_at = self._timer()
        answer = work()
        if rows and _is_even(sql, rows):
            self._note(sql, rows, self._timer() - began_at)
        return answer

    def _note(self, sql: str, rows: int, seconds: float) -> None:
        if len(self._seconds) >= MOST_STATEMENTS and sql not in self._seconds:
            self._seconds.clear()
        known = self._seconds.get(sql, UNKNOWN_SECONDS)
        self._seconds[sql] = known + (seconds / rows - known) * min(1.0, rows / TELLING_ROWS)


def _is_even(sql: str, rows: int) -> bool:
    """Whether one run takes about as long as the next: with one value an update may mean a row, or a million."""
    return rows >= TELLING_ROWS or _INSERT.match(sql) is not None
