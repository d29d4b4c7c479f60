"""The line to a store: each call goes over it, whole or spoiled."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor.errors import StoreUnavailableError
from conveyor.testing.faults.plans import FaultKind, StoreCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.testing.faults.plans import FaultPlan

__all__ = ["FaultyLine"]

T = TypeVar("T")

DELAY_SECONDS: Final = 0.02


class FaultyLine:
    """Counts the calls and spoils them as planned: `calls` counts them by verb."""

    def __init__(self, plan: FaultPlan) -> None:
        self.calls: Counter[str] = Counter()
        self._plan = plan

    def decide(self, facet: str, verb: str) -> FaultKind | None:
        """Count a call, and ask the plan what happens to it."""
        self.calls[verb] += 1
        return self._plan(StoreCall(self.calls.total(), facet, verb))

    async def call(self, facet: str, verb: str, function: Callable[[], Awaitable[T]]) -> T:
        """Count a call and make it, or not; return its answer, or lose it."""
        match self.decide(facet, verb):
            case FaultKind.FAIL_BEFORE:
                raise StoreUnavailableError(f"{verb} was spoiled before it took effect")
            case FaultKind.LOSE_ANSWER:
                await function()
                raise StoreUnavailableError(f"the answer of {verb} was lost")
            case FaultKind.DELAY:
                await anyio.sleep(DELAY_SECONDS)
            case FaultKind.DROP | FaultKind.DOUBLE | None:
                pass
        return await function()
