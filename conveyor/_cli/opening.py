"""Opening what a command works on: an app's parts, or a store alone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._app import Conveyor
    from conveyor._services.services import Services
    from conveyor.contracts.store import Store

__all__ = ["looking_only", "open_store", "services_of", "url_of", "without_migrating"]


def services_of(app: Conveyor) -> Services:
    """Return what the verbs work with."""
    return app._services  # noqa: SLF001 - nouns of the front hide it from users, not from the rooms


def url_of(app: Conveyor) -> str:
    """Return the URL of the app's store.

    Raises:
        ConfigurationError: the app was given an open store, which has none.
    """
    from conveyor._services.settings import DEFAULT_STORE, find_setting

    store = app._given.store  # noqa: SLF001 - as above
    if store is not None and not isinstance(store, str):
        raise ConfigurationError(f"the app was given the open store {store.name!r}, which has no URL; use --store URL")
    setting = find_setting("store", argument=store, default=DEFAULT_STORE)
    return DEFAULT_STORE if setting is None else setting.value


def without_migrating(url: str) -> str:
    """Return a store URL that leaves the schema as it is.

    >>> without_migrating("sqlite:///a.db?synchronous=normal")
    'sqlite:///a.db?synchronous=normal&auto_migrate=false'
    """
    if "://" not in url:  # it is refused when it is opened, as it was written
        return url
    address, _, query = url.partition("?")
    kept = [option for option in query.split("&") if option and not option.startswith("auto_migrate=")]
    return f"{address}?{'&'.join([*kept, 'auto_migrate=false'])}"


def looking_only(app: Conveyor) -> Conveyor:
    """Return the app, set to leave its store as it is: an operator's look makes, migrates and declares nothing."""
    services_of(app).is_declaring = False
    if app._given.store is None or isinstance(app._given.store, str):  # noqa: SLF001 - as above
        app._given.store = without_migrating(url_of(app))  # noqa: SLF001 - as above
    app._given.strategies = {  # noqa: SLF001 - as above
        name: without_migrating(one) if isinstance(one, str) else one
        for name, one in app._given.strategies.items()  # noqa: SLF001 - as above
    }
    return app


def without_store(app: Conveyor) -> Conveyor:
    """Return the app, set to look at what its code says: the store in its place is empty, and is made nowhere."""
    if app._given.store is None or isinstance(app._given.store, str):  # noqa: SLF001 - as above
        app._given.store = "memory://"  # noqa: SLF001 - as above
    return looking_only(app)


@asynccontextmanager
async def open_store(app: Conveyor, url: str) -> AsyncIterator[Store]:
    """Open a store and nothing else, by the plugins of an app."""
    import logging

    from conveyor._builtin.system_clock import SystemClock
    from conveyor._services.injector import Registry
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.runtime import Logger

    registry = Registry()
    registry.provide(Clock, SystemClock())
    registry.provide(Logger, logging.getLogger("conveyor.app"))
    async with app.plugins.store_provider(url).open(url, registry) as store:
        yield store
