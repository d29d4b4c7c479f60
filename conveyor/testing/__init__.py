"""For users and plugin authors: inline and drained apps, what was added, clocks that jump, stores without an app."""

from __future__ import annotations

from conveyor.testing.clocks import JumpingClock, ManualClock, hold_jumps, jumping_backends
from conveyor.testing.draining import Drained, drain
from conveyor.testing.inlining import inline
from conveyor.testing.jobs import added_jobs, assert_added, make_job
from conveyor.testing.stores import open_store

__all__ = [
    "Drained",
    "JumpingClock",
    "ManualClock",
    "added_jobs",
    "assert_added",
    "drain",
    "hold_jumps",
    "inline",
    "jumping_backends",
    "make_job",
    "open_store",
]
