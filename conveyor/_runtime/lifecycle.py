"""Opening and closing: strategies in order and in reverse, and lone exceptions out of their groups."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor.contracts.strategy import InjectableStrategy, LifespanStrategy
from conveyor.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from conveyor.contracts.strategy import Injector

__all__ = ["lone_exceptions", "open_strategy"]

CLOSE_SECONDS: Final = 10.0

# What task groups call their groups; one that a user raised keeps its shape.
_OURS: Final = frozenset({"unhandled errors in a TaskGroup", "Exceptions from Trio nursery"})

S = TypeVar("S")


@asynccontextmanager
async def lone_exceptions() -> AsyncIterator[None]:
    """Let an exception that is alone in its group leave as itself, so that callers can catch what they raised.

    Several tasks may meet the same refusal of one store before the first of them has ended the others: these are
    one failure, too.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        lone = _only_failure(group)
        if lone is None:
            raise
        raise lone from lone.__cause__


def _only_failure(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    # Cancellations that stand beside the one error are how its task group wound up; they say nothing more.
    _, errors = group.split(anyio.get_cancelled_exc_class())
    if errors is None:
        return None
    first, *others = _leaves(errors)
    return first if all(_is_told_by(first, other) for other in others) else None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup) and error.message in _OURS:
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _is_told_by(first: BaseException, other: BaseException) -> bool:
    return isinstance(first, StoreError) and type(first) is type(other) and str(first) == str(other)


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
    try:
        await strategy.init(injector)
    except Exception as exc:
        exc.add_note(f"while {kind} strategy {type(strategy).__name__} was being opened")
        raise
    try:
        yield strategy
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
            await strategy.destroy()
