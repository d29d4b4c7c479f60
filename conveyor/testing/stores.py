"""Stores opened outside an app, as a test opens them."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from conveyor.contracts.clock import Clock
from conveyor.contracts.runtime import Logger
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.store import Store

__all__ = ["open_store"]

T = TypeVar("T")


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
    from conveyor._builtin.system_clock import SystemClock
    from conveyor._services.plugin_rules import installed_plugins

    services = _Services(clock or SystemClock(), logging.getLogger("conveyor.testing"))
    async with installed_plugins().store_provider(url).open(url, services) as store:
        yield store


class _Services:
    """The injector of a store without an app: a clock and a logger are all it is lent."""

    def __init__(self, clock: Clock, logger: Logger) -> None:
        self._services: dict[type, object] = {Clock: clock, Logger: logger}

    def get(self, service: type[T], /) -> T:
        if service not in self._services:
            raise ConfigurationError(f"a store opened without an app is lent no {service.__name__}")
        return cast("T", self._services[service])
