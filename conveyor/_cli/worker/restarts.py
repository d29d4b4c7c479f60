"""When to start a worker process again that has ended by itself, and when to give up."""

from __future__ import annotations

from typing import Final

from conveyor._cli.failures import ExitCode

__all__ = ["Restarts"]

# A process that lived so long had started; one that did not may never.
HEALTHY_SECONDS: Final = 10.0
FIRST_WAIT_SECONDS: Final = 0.5
MOST_EARLY_ENDS: Final = 5
# Starting again mends none of these.
_HOPELESS: Final = frozenset({ExitCode.USAGE, ExitCode.SCHEMA})


class Restarts:
    """Follows the ends of one process and its successors."""

    def __init__(self) -> None:
        """Begin with a process that has not ended yet."""
        self._early_ends = 0

    def wait_seconds(self, code: int, lived_seconds: float) -> float | None:
        """Return how long to wait before the next start; None: give up.

        It doubles from one early end to the next; after the fifth there is no next.

        Args:
            code: the exit code, negative for a signal. 0 is no failure: the worker has run its ``--max-jobs``.
            lived_seconds: how long the process lived.
        """
        if code == ExitCode.OK:
            self._early_ends = 0
            return 0.0
        if code in _HOPELESS:
            return None
        if lived_seconds >= HEALTHY_SECONDS:
            self._early_ends = 0
        self._early_ends += 1
        if self._early_ends >= MOST_EARLY_ENDS:
            return None
        return FIRST_WAIT_SECONDS * 2.0 ** (self._early_ends - 1)
