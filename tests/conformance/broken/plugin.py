"""A store plugin with a fault, as a stranger would install it: ``broken://`` settles for whoever asks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.clock import Clock
from conveyor.contracts.providers import StoreProvider
from conveyor.hookspecs import hookimpl
from tests.conformance.broken.bench import open_broken
from tests.conformance.broken.locks import TokenIgnoredAtSettle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector


@hookimpl
def conveyor_stores() -> Sequence[StoreProvider]:
    """Offer the store behind ``broken://``."""
    return [StoreProvider("broken", ("broken",), _open, lambda url: (), CONTRACT_VERSION)]


@asynccontextmanager
async def _open(url: str, injector: Injector, /) -> AsyncIterator[Store]:
    yield open_broken(TokenIgnoredAtSettle, injector.get(Clock))
