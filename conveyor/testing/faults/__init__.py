"""A store that fails now and then: wraps an open store, and spoils the calls that a plan picks.

>>> from conveyor.testing.faults import FaultKind, at_call
>>> plan = at_call(3, FaultKind.LOSE_ANSWER)
"""

from __future__ import annotations

from conveyor.testing.faults.plans import FaultKind, FaultPlan, FaultScript, StoreCall, at_call, at_random
from conveyor.testing.faults.store import FaultyStore

__all__ = ["FaultKind", "FaultPlan", "FaultScript", "FaultyStore", "StoreCall", "at_call", "at_random"]
