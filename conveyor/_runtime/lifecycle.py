"""Opening and closing: strategies in order and in reverse, and lone exceptions out of their groups."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor.contracts.strategy import InjectableStrategy, LifespanStrategy
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.strategy import Injector

__all__ = ["lone_exceptions", "open_strategy"]

CLOSE_SECONDS: Final = 10.0

# What task groups call their groups; one that a user raised keeps its shape.
_OURS: Final = frozenset({"unhandled errors in a TaskGroup", "Exceptions from Trio nursery"})

S = TypeVar("S")


@asynccontextmanager
async def lone_exceptions() -> AsyncIterator[None]:
    """Let an exception that is alone in its group leave as itself, so that callers can catch what they raised."""
    try:
        yield
    except BaseExceptionGroup as group:
        lone = _only_leaf(group)
        if lone is None:
            raise
        raise lone from lone.__cause__


def _only_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    # Cancellations that stand beside the one error are how its task group wound up; they say nothing more.
    _, errors = group.split(anyio.get_cancelled_exc_class())
    if errors is None:
        return None
    leaf: BaseException = errors
    while isinstance(leaf, BaseExceptionGroup) and leaf.message in _OURS:
        if len(leaf.exceptions) != 1:
            return None
        leaf = leaf.exceptions[0]
    return leaf


@asynccontextmanager
async def open_strategy(strategy: S, injector: Injector, kind: str) -> AsyncIterator[S]:
    """Open a strategy for as long as the context lasts.

    Raises:
        ConfigurationError: it has neither ``init`` and ``destroy`` nor ``lifespan``.
    """
    if isinstance(strategy, LifespanStrategy):
        async with strategy.lifespan(injector):
            yield strategy
        return
    if not isinstance(strategy, InjectableStrategy):
        raise ConfigurationError(f"a {kind} strategy needs init() and destroy(), or lifespan(); got {strategy!r}")
    await strategy.init(injector)
    try:
        yield strategy
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
            await strategy.destroy()
