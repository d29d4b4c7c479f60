"""Loading one plugin: its module is imported, its hooks are called, and what is wrong with it is kept."""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar

import pluggy
from attrs import frozen

from conveyor import hookspecs
from conveyor.contracts.capabilities import CONTRACT_VERSION, OLDEST_CONTRACT_VERSION
from conveyor.contracts.providers import (
    BatchStrategyProvider,
    BufferStorageProvider,
    CommandProvider,
    FileStorageProvider,
    JobQueueProvider,
    MiddlewareProvider,
    PayloadCodecProvider,
    StoreProvider,
)
from conveyor.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._plugins.found import FoundPlugin

__all__ = ["HOOKS", "AnyOffer", "LoadedPlugin", "Loader", "Offer", "describe", "plugin_error"]

logger: Final = logging.getLogger("conveyor.plugins")


class _Provider(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def contract_version(self) -> int: ...


P_co = TypeVar("P_co", bound=_Provider, covariant=True)

AnyProvider: TypeAlias = (
    StoreProvider
    | JobQueueProvider
    | BufferStorageProvider
    | BatchStrategyProvider
    | FileStorageProvider
    | MiddlewareProvider
    | PayloadCodecProvider
    | CommandProvider
)

# What is offered through each hook: what people call it, and the class of its descriptions.
HOOKS: Final[Mapping[str, tuple[str, type[AnyProvider]]]] = {
    "conveyor_stores": ("store", StoreProvider),
    "conveyor_job_queues": ("job queue", JobQueueProvider),
    "conveyor_buffer_storages": ("buffer storage", BufferStorageProvider),
    "conveyor_batch_strategies": ("batch strategy", BatchStrategyProvider),
    "conveyor_file_storages": ("file storage", FileStorageProvider),
    "conveyor_middleware": ("middleware", MiddlewareProvider),
    "conveyor_payload_codecs": ("payload codec", PayloadCodecProvider),
    "conveyor_cli_commands": ("command", CommandProvider),
}


@frozen
class Offer(Generic[P_co]):
    """One provider, and the plugin that offers it."""

    kind: str
    provider: P_co
    plugin: FoundPlugin

    @property
    def words(self) -> Sequence[str]:
        """The words that select it: a store's schemes, the name, or either of a job queue."""
        if isinstance(self.provider, StoreProvider):
            return self.provider.schemes
        # A job queue is often called like its scheme.
        return tuple(dict.fromkeys((self.provider.name, *_schemes(self.provider))))

    @property
    def misfit(self) -> PluginError | None:
        """Return the error for a provider whose contracts are too old or too new, or None."""
        version = self.provider.contract_version
        if OLDEST_CONTRACT_VERSION <= version <= CONTRACT_VERSION:
            return None
        plugin = self.plugin
        upgrade = "conveyor" if version > CONTRACT_VERSION else plugin.distribution
        reason = f"its {self.kind} {self.provider.name!r} keeps version {version} of the contracts, and ours is "
        return plugin_error(plugin, f"{reason}{CONTRACT_VERSION}", f"upgrade {upgrade}")


AnyOffer: TypeAlias = (
    Offer[StoreProvider]
    | Offer[JobQueueProvider]
    | Offer[BufferStorageProvider]
    | Offer[BatchStrategyProvider]
    | Offer[FileStorageProvider]
    | Offer[MiddlewareProvider]
    | Offer[PayloadCodecProvider]
    | Offer[CommandProvider]
)


@frozen
class LoadedPlugin:
    """A plugin after its import, or after the attempt.

    Attributes:
        hooks: the hooks that it implements.
        unknown_hooks: those that this version of conveyor does not know.
        file: where its module stands.
        error: why it is broken; then it offers nothing.
    """

    plugin: FoundPlugin
    offers: Sequence[AnyOffer] = ()
    hooks: Sequence[str] = ()
    unknown_hooks: Sequence[str] = ()
    file: str | None = None
    error: BaseException | None = None

    @property
    def failure(self) -> PluginError | None:
        """The error for whoever selects a broken plugin, with its cause; None: it works."""
        if self.error is None:
            return None
        advice = f"reinstall or upgrade {self.plugin.distribution}, or tell its author"
        failure = plugin_error(self.plugin, f"it is broken: {describe(self.error)}", advice)
        failure.__cause__ = self.error
        return failure


class Loader:
    """Loads each plugin once, and warns once of each that is broken."""

    def __init__(self) -> None:
        self._loaded: dict[FoundPlugin, LoadedPlugin] = {}
        self._warned: set[FoundPlugin] = set()

    def load(self, plugin: FoundPlugin) -> LoadedPlugin:
        """Return the plugin, imported now or before; a broken one comes with its error."""
        loaded = self._loaded.get(plugin)
        if loaded is None:
            loaded = self._loaded[plugin] = _attempt(plugin)
        return loaded

    def warn(self, loaded: LoadedPlugin) -> None:
        """Say in one line that a broken plugin is done without."""
        if loaded.error is not None and loaded.plugin not in self._warned:
            self._warned.add(loaded.plugin)
            logger.warning("plugin %s is broken and left out: %s", loaded.plugin, describe(loaded.error))


def _attempt(plugin: FoundPlugin) -> LoadedPlugin:
    """Import a plugin and ask it what it offers; whatever it does wrong comes back as its error."""
    try:
        # What a stranger prints must not end up among the data of a command.
        with redirect_stdout(sys.stderr):
            return _load(plugin)
    except KeyboardInterrupt:
        logger.warning("interrupted while plugin %s was loaded; to do without it, block it", plugin)
        raise
    except BaseException as exc:  # noqa: BLE001 - SystemExit and pytest's Skipped, too: an import must end nobody else
        return LoadedPlugin(plugin, error=exc)


def plugin_error(plugin: FoundPlugin, reason: str, advice: str) -> PluginError:
    """Return the error that names all of a plugin."""
    return PluginError(
        plugin.name,
        plugin.distribution,
        reason,
        version=plugin.version,
        entry_point=f"{plugin.name} = {plugin.target}",
        advice=advice,
    )


def describe(error: BaseException) -> str:
    """Return an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _load(plugin: FoundPlugin) -> LoadedPlugin:
    module = plugin.entry_point.load()
    # A manager of its own, so that two plugins of one name do not meet in it. It checks the hooks' arguments.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin.name)
    offers: list[AnyOffer] = []
    implemented = [caller.name for caller in manager.get_hookcallers(module) or ()]
    for hook_name in (name for name in HOOKS if name in implemented):
        for implementation in getattr(manager.hook, hook_name).get_hookimpls():
            offers.extend(_offers(plugin, hook_name, implementation.function()))
    _check_words(offers)
    return LoadedPlugin(
        plugin,
        tuple(offers),
        hooks=tuple(name for name in sorted(implemented) if name in HOOKS),
        unknown_hooks=tuple(name for name in sorted(implemented) if name not in HOOKS),
        file=getattr(module, "__file__", None),
    )


def _offers(plugin: FoundPlugin, hook_name: str, providers: object) -> list[AnyOffer]:
    kind, wanted = HOOKS[hook_name]
    if isinstance(providers, (list, tuple)):
        for provider in providers:
            if not isinstance(provider, wanted):
                raise ConfigurationError(f"{hook_name} must return {wanted.__name__}s, and returned {provider!r}")
            _check(provider, hook_name)
        return [Offer(kind, provider, plugin) for provider in providers]
    raise ConfigurationError(f"{hook_name} must return a list or a tuple, and returned {providers!r}")


def _schemes(provider: object) -> tuple[str, ...]:
    return provider.schemes if isinstance(provider, (StoreProvider, JobQueueProvider)) else ()


def _check(provider: AnyProvider, hook_name: str) -> None:
    words = _schemes(provider)
    if not isinstance(words, tuple) or not all(isinstance(word, str) for word in (provider.name, *words)):
        raise ConfigurationError(f"{hook_name}: the name must be a string and the schemes a tuple of strings")
    if isinstance(provider, CommandProvider) and not re.fullmatch(r"[\w.]+:[\w.]+", str(provider.target)):
        raise ConfigurationError(f"{hook_name}: target must be 'module:attr', got {provider.target!r}")
    if isinstance(provider, JobQueueProvider) and bool(words) is (provider.create_from_url is None):
        raise ConfigurationError(f"{hook_name}: schemes and create_from_url go together")
    if not isinstance(provider.contract_version, int):
        raise ConfigurationError(f"{hook_name}: contract_version must be a number, got {provider.contract_version!r}")


def _check_words(offers: Sequence[AnyOffer]) -> None:
    counts = Counter((offer.kind, word) for offer in offers for word in offer.words)
    for (kind, word), count in counts.items():
        if count > 1:
            raise ConfigurationError(f"it offers {count} {kind}s that answer to {word!r}")
