"""For users and plugin authors: a clock that a test moves, and stores opened outside an app."""

from __future__ import annotations

from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store

__all__ = ["ManualClock", "open_store"]
