"""Named strategies: stores, job queues and buffer storages of an app beside its own, for other strategies to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor._runtime.lifecycle import open_strategy
from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
from conveyor.contracts.job_queue import JobQueueStrategy
from conveyor.contracts.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

    from conveyor._services.injector import Registry

__all__ = ["open_named"]

# What tells an instance of each kind.
_VERBS: dict[type[Any], Sequence[str]] = {
    JobQueueStrategy: ("add", "start", "stop"),
    JobBufferStorageStrategy: ("add", "buffer_size", "flush"),
}


async def open_named(
    stack: AsyncExitStack,
    registry: Registry,
    given: Mapping[str, object],
    open_store: Callable[[object], AbstractAsyncContextManager[Store] | None],
) -> None:
    """Open these in their order, and let the injector have each by its name: those after it may use it.

    Args:
        stack: closes them again, in reverse.
        registry: where they are found, under the contract of their kind and under their own class.
        given: by name: URLs of stores, open stores, and instances.
        open_store: opens the store of a URL, or lends an open one; None for anything else.
    """
    for name, one in given.items():
        opening = open_store(one)
        if opening is not None:
            registry.provide(Store, await stack.enter_async_context(opening), name)
            continue
        strategy = await stack.enter_async_context(open_strategy(one, registry, f"named {name!r}"))
        registry.provide(type(strategy), strategy, name)
        for kind, verbs in _VERBS.items():
            if all(hasattr(strategy, verb) for verb in verbs):
                registry.provide(kind, strategy, name)
