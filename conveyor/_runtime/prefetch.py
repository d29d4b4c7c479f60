"""Prefetch: how many jobs a worker fetches beyond its free slots, measured by how fast its jobs start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from conveyor._runtime.board import Board

__all__ = ["Prefetch"]

# A worker that starts fifty thousand jobs a second has run so many after 40 ms.
LARGEST: Final = 2000
SMOOTHING: Final = 0.3


class Prefetch:
    """Measures how many jobs start during one round trip to the store, and fetches twice as many ahead."""

    def __init__(self, board: Board, wanted: int | Literal["auto"]) -> None:
        """Bind to a board.

        Args:
            board: it counts what starts.
            wanted: how many jobs to fetch ahead; "auto": as many as are measured.
        """
        self._board = board
        self._wanted = wanted
        self._measured_at = 0.0
        self._started = 0
        self._jobs_per_round_trip = 0.0
        self._started_at_pause = -1

    @property
    def size(self) -> int:
        """How many jobs to fetch ahead now."""
        if self._board.started_count == self._started_at_pause:
            return 0  # nothing has started since jobs fetched ahead went back: they would go back again
        if isinstance(self._wanted, int):
            return self._wanted
        return min(int(self._jobs_per_round_trip * 2), LARGEST)

    def learn(self, now: float, round_trip_seconds: float, *, was_dry: bool) -> None:
        """Take what has started since the last fetch into account; `was_dry`: slots waited for its answer."""
        started = self._board.started_count - self._started
        elapsed = now - self._measured_at
        if elapsed <= 0:
            return
        sample = started / elapsed * round_trip_seconds
        if was_dry:
            # What started is what was there. Twice as much is fetched ahead as is measured, of which half is on its
            # way: without this, a measure that was too small would stay as it is.
            sample *= 2
        self._jobs_per_round_trip += SMOOTHING * (sample - self._jobs_per_round_trip)
        self._measured_at, self._started = now, self._board.started_count

    def pause(self) -> None:
        """Fetch nothing ahead until a job starts, and measure anew."""
        self._jobs_per_round_trip = 0.0
        self._started_at_pause = self._board.started_count
