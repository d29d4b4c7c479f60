"""Plugins: what is installed and may be used, looked up by name or by URL scheme."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from conveyor._plugins.choosing import Choice, choose
from conveyor._plugins.found import FoundPlugin, scan
from conveyor._plugins.loading import LoadedPlugin, Loader
from conveyor._plugins.rules import Rules
from conveyor.errors import ConfigurationError, ConveyorInternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.metadata import EntryPoint

    from conveyor.contracts.providers import (
        BatchStrategyProvider,
        BufferStorageProvider,
        FileStorageProvider,
        JobQueueProvider,
        MiddlewareProvider,
        PayloadCodecProvider,
        StoreProvider,
    )

__all__ = ["Plugins"]


class Plugins:
    """The plugins of this environment.

    Finding them reads metadata and imports nothing. A plugin's module is imported when something of it may be needed,
    its backend when it is opened. One that is broken, or that clashes with another, matters to nobody but who selects
    it.
    """

    def __init__(
        self,
        found: Iterable[EntryPoint] | None = None,
        *,
        allow: Sequence[str] | None = None,
        block: Sequence[str] | None = None,
    ) -> None:
        """Say which plugins there are.

        Args:
            found: entry points to use instead of the installed ones of the group ``conveyor``.
            allow: names of plugins or distributions, ``*`` and ``?`` allowed: no others are used. None:
                ``CONVEYOR_PLUGINS_ALLOW``, else ``allow`` in ``[tool.conveyor.plugins]`` of pyproject.toml, else all.
            block: names of those that are never used, likewise; it comes before `allow`.

        Raises:
            ConfigurationError: one of the two is no list of names.
        """
        self._given = None if found is None else tuple(found)
        self._rules = Rules.given(allow, block)
        self._read_rules: Callable[[], Rules] = Rules
        self._loader = Loader()

    def configured_by(self, read_rules: Callable[[], Rules]) -> Plugins:
        """Let these rules hold where no argument says anything else; they are read when they are first needed."""
        self._read_rules = read_rules
        return self

    @cached_property
    def rules(self) -> Rules:
        """Which plugins may be used.

        Raises:
            ConfigurationError: the settings cannot be read.
        """
        return self._rules.over(self._read_rules())

    @cached_property
    def found(self) -> Sequence[FoundPlugin]:
        """Every plugin, by name, those included that may not be used; nothing of them is imported."""
        return scan(self._given)

    @property
    def allowed(self) -> Sequence[FoundPlugin]:
        """Those that may be used."""
        return [plugin for plugin in self.found if self.rules.refusal(plugin) is None]

    def load(self, plugin: FoundPlugin) -> LoadedPlugin:
        """Import a plugin, once, and return what it offers, or with what error it broke.

        Raises:
            ConfigurationError: it may not be used.
        """
        refusal = self.rules.refusal(plugin)
        if refusal is not None:
            raise ConfigurationError(f"plugin {plugin} is not loaded: {refusal}")
        return self._loader.load(plugin)

    def choose(self, kind: str, word: str) -> Choice:
        """Return what a word selects among a kind, a row of `HOOKS`."""
        return choose(kind, word, found=self.found, rules=self.rules, loader=self._loader)

    def store_provider(self, url: str) -> StoreProvider:
        """Return the provider for a store URL.

        Raises:
            ConfigurationError: it is no URL, or two plugins claim its scheme.
            UnknownStrategyError: no plugin answers to the scheme.
            PluginError: the plugin that should is broken, blocked, or keeps another version of the contracts.
        """
        # A store's offer holds nothing else: loading has checked that.
        return cast("StoreProvider", _provider(self.choose("store", scheme_of(url))))

    def job_queue_provider(self, name: str) -> JobQueueProvider:
        """Return the provider of a job queue strategy by its name or URL scheme; raises as `store_provider` does."""
        # As above.
        return cast("JobQueueProvider", _provider(self.choose("job queue", name)))

    def buffer_storage_provider(self, name: str) -> BufferStorageProvider:
        """Return the provider of a buffer storage strategy by its name; raises as `store_provider` does."""
        return cast("BufferStorageProvider", _provider(self.choose("buffer storage", name)))

    def batch_strategy_provider(self, name: str) -> BatchStrategyProvider:
        """Return the provider of a batch strategy by its name; raises as `store_provider` does."""
        return cast("BatchStrategyProvider", _provider(self.choose("batch strategy", name)))

    def file_storage_provider(self, name: str) -> FileStorageProvider:
        """Return the provider of a file storage by its name; raises as `store_provider` does."""
        return cast("FileStorageProvider", _provider(self.choose("file storage", name)))

    def middleware_provider(self, name: str) -> MiddlewareProvider:
        """Return the provider of a middleware by its name; raises as `store_provider` does."""
        return cast("MiddlewareProvider", _provider(self.choose("middleware", name)))

    def payload_codec_provider(self, name: str) -> PayloadCodecProvider:
        """Return the provider of a payload codec by its name; raises as `store_provider` does."""
        return cast("PayloadCodecProvider", _provider(self.choose("payload codec", name)))


def scheme_of(url: str) -> str:
    """Return the scheme of a store URL.

    Raises:
        ConfigurationError: it has none.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme:
        raise ConfigurationError(f'{url!r} is no store URL; write for example "memory://" or "sqlite:///jobs.db"')
    return scheme


def _provider(choice: Choice) -> object:
    if choice.error is not None:
        raise choice.error
    if choice.offer is None:
        raise ConveyorInternalError(f"nothing was chosen for the {choice.kind} {choice.word!r}")
    return choice.offer.provider
