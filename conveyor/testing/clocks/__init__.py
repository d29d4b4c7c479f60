"""Clocks for tests: one that the test moves, and one that jumps when there is nothing to do but wait."""

from __future__ import annotations

from conveyor.testing.clocks.jumping import JumpingClock, hold_jumps, jumping_backends
from conveyor.testing.clocks.manual import DEFAULT_START, ManualClock

__all__ = ["DEFAULT_START", "JumpingClock", "ManualClock", "hold_jumps", "jumping_backends"]
