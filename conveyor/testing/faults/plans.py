"""Plans: which calls of a store are spoiled, and how."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FaultKind", "FaultPlan", "FaultScript", "StoreCall", "at_call", "at_random"]


class FaultKind(StrEnum):
    """What happens to a call that is spoiled.

    FAIL_BEFORE and LOSE_ANSWER raise StoreUnavailableError, the first before the command takes effect, the second
    after it. DROP loses a notification and DOUBLE brings it twice; they leave every other call alone. To a
    notification, FAIL_BEFORE and LOSE_ANSWER do what DROP does.
    """

    FAIL_BEFORE = "fail_before"
    LOSE_ANSWER = "lose_answer"
    DELAY = "delay"
    DROP = "drop"
    DOUBLE = "double"


class StoreCall(NamedTuple):
    """One call of a store: its number from 1 on, and what is called.

    ``notifier.deliver`` is one hint on its way. What is done with an open transaction is ``transactions.execute``,
    ``transactions.commit`` and so on.
    """

    number: int
    facet: str
    verb: str


class FaultPlan(Protocol):
    """Says what happens to each call."""

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        """Return how the call is spoiled; None: not at all."""
        ...


def at_call(number: int, kind: FaultKind) -> FaultPlan:
    """Return a plan that spoils exactly one call, by its number."""
    return lambda call: kind if call.number == number else None


def at_random(seed: int, *, rate: float = 0.1, kinds: Sequence[FaultKind] = tuple(FaultKind)) -> FaultPlan:
    """Return a plan that spoils calls at this rate; the same calls in the same order get the same from a seed."""
    draw = random.Random(seed)  # noqa: S311 - the same faults again, no secret
    return lambda _: draw.choice(kinds) if draw.random() < rate else None


class FaultScript:
    """A plan that a test writes while it runs: ``script.spoil("fetch_jobs", 3)`` spoils the next three."""

    def __init__(self) -> None:
        self._spoiled: dict[str, tuple[int, FaultKind]] = {}

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        """Spoil what was asked for, one time less from now on."""
        count, kind = self._spoiled.get(call.verb, (0, FaultKind.FAIL_BEFORE))
        if not count:
            return None
        self._spoiled[call.verb] = (count - 1, kind)
        return kind

    def spoil(self, verb: str, count: int, kind: FaultKind = FaultKind.FAIL_BEFORE) -> None:
        """Spoil the next calls of a verb; 0 spoils none any more."""
        self._spoiled[verb] = (count, kind)
