"""The fixtures that every theme of the conformance kit stands on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Protocol

import pytest

from conveyor._services.plugin_rules import installed_plugins
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.workshop import Workshop
from conveyor.testing.stores import open_store_among

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from conveyor._plugins import Plugins
    from conveyor.contracts.store import LimitStore, Store

__all__ = ["OpenWorkshop", "StoreKit", "needs", "store_plugins"]


class OpenWorkshop(Protocol):
    """Opens the store under test once more, on the same URL and with the same clock."""

    def __call__(self) -> AbstractAsyncContextManager[Workshop]:
        """Return a context manager; the store is closed at its end."""
        ...


def needs(has_capability: bool, name: str) -> None:
    """Skip the test where the store declares that it lacks a capability: the kit's only reason to skip."""
    if not has_capability:
        pytest.skip(f"the store declares {name}=False")


@cache
def store_plugins() -> Plugins:
    """Return what is installed, which is looked for once: it stays as it is while tests run."""
    return installed_plugins()


class StoreKit:
    """What a store's tests share. Give `url`, or override the fixture `store_url`: each test wants an empty store."""

    url: ClassVar[str] = ""
    pytestmark: ClassVar[pytest.MarkDecorator] = pytest.mark.anyio

    @pytest.fixture
    def store_url(self) -> str:
        """The URL of an empty store."""
        assert self.url, "give the class a url, or override the fixture store_url"
        return self.url

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The store's time, which stands still until a test moves it."""
        return ManualClock()

    @pytest.fixture
    def open_workshop(self, store_url: str, clock: ManualClock) -> OpenWorkshop:
        """Opens the store under test: after a first opening was closed, or beside it."""

        @asynccontextmanager
        async def open_once() -> AsyncIterator[Workshop]:
            async with open_store_among(store_plugins(), store_url, clock=clock) as store:
                yield Workshop(store, clock)

        return open_once

    @pytest.fixture
    async def workshop(self, open_workshop: OpenWorkshop) -> AsyncIterator[Workshop]:
        """The store under test, open, with short ways to use it."""
        async with open_workshop() as workshop:
            yield workshop

    @pytest.fixture
    def store(self, workshop: Workshop) -> Store:
        """The store under test, open."""
        return workshop.store

    @pytest.fixture
    def limits(self, workshop: Workshop) -> LimitStore:
        """The limits of the store under test, where it has any."""
        needs(workshop.store.capabilities.has_limits, "has_limits")
        assert workshop.store.limits is not None, "a store that declares has_limits=True must have limits"
        return workshop.store.limits
