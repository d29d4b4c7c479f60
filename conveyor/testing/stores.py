"""Stores opened outside an app, as a test opens them."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from conveyor.contracts.clock import Clock
from conveyor.contracts.runtime import Logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._plugins import Plugins
    from conveyor.contracts.store import Store

__all__ = ["open_store", "open_store_among"]


@asynccontextmanager
async def open_store(url: str, *, clock: Clock | None = None) -> AsyncIterator[Store]:
    """Open the store of this URL and close it at the end of the block.

    Args:
        url: such as ``memory://``; its scheme picks the plugin.
        clock: the store's time; without it, the system's.

    Raises:
        ConfigurationError: no plugin knows the scheme, or the URL does not fit.
        StoreError: the store cannot be opened.
    """
    # Plugins are looked for when a store is wanted, not when a clock is imported.
    from conveyor._services.plugin_rules import installed_plugins

    async with open_store_among(installed_plugins(), url, clock=clock) as store:
        yield store


@asynccontextmanager
async def open_store_among(plugins: Plugins, url: str, *, clock: Clock | None = None) -> AsyncIterator[Store]:
    """Open a store as `open_store` does, by plugins that were looked for before: each look costs milliseconds."""
    from conveyor._builtin.system_clock import SystemClock
    from conveyor._services.injector import Registry

    registry = Registry()
    registry.provide(Clock, clock or SystemClock())
    registry.provide(Logger, logging.getLogger("conveyor.testing"))
    async with plugins.store_provider(url).open(url, registry) as store:
        yield store
