"""The parts of an app that were given by name are made by the plugins that offer them; instances are what they are."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from conveyor._services.settings import DEFAULT_STORE, find_setting
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conveyor._plugins import Plugins
    from conveyor._services.strategy_options import StrategySettings
    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector

__all__ = [
    "make_batch_strategy",
    "make_buffer_storage",
    "make_file_storage",
    "make_job_queue",
    "make_middleware",
    "make_named_store_opener",
    "make_payload_codec",
    "make_store_opener",
]


T = TypeVar("T")


def make_store_opener(
    plugins: Plugins, given: str | Store | None, settings: StrategySettings, injector: Injector
) -> Callable[[], AbstractAsyncContextManager[Store]]:
    """Return what opens the store of a URL, or of the settings; a store that is open already stays the caller's."""
    if given is not None and not isinstance(given, str):
        return partial(_borrow, given)
    setting = find_setting("store", argument=given, default=DEFAULT_STORE)
    url = DEFAULT_STORE if setting is None else setting.value
    provider = plugins.store_provider(url)
    settings.refuse(provider.name, "a store has its options in its URL")
    return lambda: provider.open(url, injector)


def make_named_store_opener(
    plugins: Plugins, injector: Injector, given: object
) -> AbstractAsyncContextManager[Store] | None:
    """Return what opens the store of a URL, or lends an open one; None for what is no store."""
    if isinstance(given, str):
        return plugins.store_provider(given).open(given, injector)
    return _borrow(cast("Store", given)) if hasattr(given, "jobs") else None


@asynccontextmanager
async def _borrow(store: Store) -> AsyncIterator[Store]:
    yield store


def make_job_queue(plugins: Plugins, given: str | JobQueueStrategy, settings: StrategySettings) -> JobQueueStrategy:
    """Make the job queue strategy of a name, or of a URL; what is an instance already is returned as it is.

    Raises:
        ConfigurationError: nothing answers to it, or its options are wrong; see `Plugins.job_queue_provider`.
    """
    if not isinstance(given, str):
        return given
    scheme, separator, _ = given.partition("://")
    provider = plugins.job_queue_provider(scheme)
    if separator:
        if provider.create_from_url is None or scheme not in provider.schemes:
            raise ConfigurationError(f"the job queue {provider.name!r} takes no URL: select it by its name")
        settings.refuse(provider.name, "it was selected by a URL, which has its options")
        return provider.create_from_url(given)
    if given != provider.name:
        raise ConfigurationError(f"{given!r} is a URL scheme of the job queue {provider.name!r}: add :// and the rest")
    return _made(provider.create, given, provider.options, settings)


def make_buffer_storage(
    plugins: Plugins, given: str | JobBufferStorageStrategy, settings: StrategySettings
) -> JobBufferStorageStrategy:
    """Return the buffer storage; raises ConfigurationError where its options are wrong."""
    if not isinstance(given, str):
        return given
    provider = plugins.buffer_storage_provider(given)
    return _made(provider.create, given, provider.options, settings)


def make_file_storage(plugins: Plugins, given: str | FileStorage, settings: StrategySettings) -> FileStorage:
    """Return the file storage; raises ConfigurationError where its options are wrong."""
    if not isinstance(given, str):
        return given
    provider = plugins.file_storage_provider(given)
    return _made(provider.create, given, provider.options, settings)


def make_batch_strategy(plugins: Plugins, name: str, settings: StrategySettings) -> BatchJobStrategy:
    """Return one batch strategy; raises ConfigurationError where its options are wrong."""
    provider = plugins.batch_strategy_provider(name)
    return _made(provider.create, name, provider.options, settings)


def _made(create: Callable[..., T], name: str, options: type[object] | None, settings: StrategySettings) -> T:
    """Make a strategy, with its options where it has some."""
    if options is not None:
        return create(settings.read(name, options))
    settings.refuse(name, "it takes none")
    return create()


def make_middleware(plugins: Plugins, given: str | Middleware) -> Middleware:
    """Return one middleware."""
    return plugins.middleware_provider(given).create() if isinstance(given, str) else given


def make_payload_codec(plugins: Plugins, given: str | PayloadCodec | None) -> PayloadCodec | None:
    """Return the payload codec, if there is one."""
    return plugins.payload_codec_provider(given).create() if isinstance(given, str) else given
