"""What an app was made with: names that are looked up once it opens, and instances."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import define, field

from conveyor._runtime.batches.registering import register
from conveyor._runtime.named import open_named
from conveyor._runtime.supervisor import Supervisor
from conveyor._services.app_arguments import (
    check_buffer_storage,
    check_file_storage,
    check_job_queue,
    check_middleware,
    check_payload_codec,
    check_retention,
    check_store,
    check_strategies,
)
from conveyor._services.app_parts import (
    make_batch_strategy,
    make_buffer_storage,
    make_file_storage,
    make_job_queue,
    make_middleware,
    make_named_store_opener,
    make_payload_codec,
    make_store_opener,
)
from conveyor._services.injector import Registry
from conveyor._services.strategy_options import StrategySettings
from conveyor._services.unread_options import unread_options
from conveyor.contracts.clock import Clock
from conveyor.contracts.runtime import Logger
from conveyor.contracts.strategy import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor._plugins import Plugins
    from conveyor._runtime.batches.service import BatchRuns
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store
    from conveyor.model.retention import Retention

__all__ = ["Given"]

logger: Final = logging.getLogger("conveyor.app")


@define
class Given:
    """The strategies of an app, by name or as instances; what is neither is refused with ConfigurationError.

    The command line and tests put others in their place before the app opens.
    """

    plugins: Plugins
    store: str | Store | None = field(converter=check_store)
    job_queue: str | JobQueueStrategy = field(converter=check_job_queue)
    buffer_storage: str | JobBufferStorageStrategy = field(converter=check_buffer_storage)
    file_storage: str | FileStorage = field(converter=check_file_storage)
    # Those by name alone: instances were registered when the app was made.
    batch_strategies: Sequence[str]
    # Beside these, by name.
    strategies: Mapping[str, object] = field(converter=check_strategies)
    middleware: Sequence[str | Middleware] = field(converter=check_middleware)
    payload_codec: str | PayloadCodec | None = field(converter=check_payload_codec)
    retention: Retention = field(converter=check_retention)
    clock: Clock
    settings: StrategySettings = field(factory=StrategySettings, init=False)

    def make_supervisor(
        self, batch_runs: BatchRuns, open_state: Callable[[], AbstractAsyncContextManager[object]] | None
    ) -> Supervisor:
        """Look up what was given by name, and return what opens it all.

        Args:
            batch_runs: the app's; its services get what has no opening of its own.
            open_state: opens the app's lifespan, if it has one.
        """
        services = batch_runs.services
        registry = Registry()
        registry.provide(Clock, self.clock)
        registry.provide(Logger, logger)
        self.settings = settings = StrategySettings(tuple(self.strategies))
        registry.provide(Settings, settings)
        services.middleware = [make_middleware(self.plugins, one) for one in self.middleware]
        services.payload_codec = make_payload_codec(self.plugins, self.payload_codec)
        self._register_named(batch_runs)
        return Supervisor(
            services,
            registry,
            make_store_opener(self.plugins, self.store, settings, registry),
            make_job_queue(self.plugins, self.job_queue, settings),
            make_buffer_storage(self.plugins, self.buffer_storage, settings),
            make_file_storage(self.plugins, self.file_storage, settings),
            self.retention,
            batch_runs,
            open_state,
            partial(
                open_named, given=self.strategies, open_store=partial(make_named_store_opener, self.plugins, registry)
            ),
        )

    def _register_named(self, batch_runs: BatchRuns) -> None:
        # An app may be opened again, and its strategies with it.
        while self.batch_strategies:
            name, *self.batch_strategies = self.batch_strategies
            register(batch_runs, make_batch_strategy(self.plugins, name, self.settings))

    def tell_unread_options(self) -> None:
        """Warn of options for strategies that there are not, once all that there are have read theirs."""
        for what in unread_options(self.plugins, self.settings.read_names | self.strategies.keys()):
            logger.warning("%s", what)
