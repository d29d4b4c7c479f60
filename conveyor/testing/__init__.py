"""For users and plugin authors: clocks that jump or stand still, and stores opened outside an app."""

from __future__ import annotations

from conveyor.testing.clocks import JumpingClock, ManualClock, hold_jumps, jumping_backends
from conveyor.testing.stores import open_store

__all__ = ["JumpingClock", "ManualClock", "hold_jumps", "jumping_backends", "open_store"]
