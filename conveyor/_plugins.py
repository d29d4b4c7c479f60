"""Finds plugins by entry point, names the broken one, and resolves names and URL schemes to providers."""

from __future__ import annotations

import logging
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import pluggy
from attrs import define, frozen

from conveyor import hookspecs
from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.errors import ConfigurationError, PluginError, UnknownStrategyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conveyor.contracts.providers import JobQueueProvider, StoreProvider

__all__ = ["FoundPlugin", "Offer", "Plugins", "find_store_provider"]

logger: Final = logging.getLogger("conveyor.plugins")


class _Provider(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def contract_version(self) -> int: ...


P = TypeVar("P", bound=_Provider)


@define
class FoundPlugin:
    """A plugin as it was found: its entry point, and why it could not be loaded, if so."""

    name: str
    distribution: str
    version: str
    module: str
    error: Exception | None = None


@frozen
class Offer(Generic[P]):
    """One provider, and the plugin that offers it."""

    provider: P
    plugin: FoundPlugin


class Plugins:
    """The plugins of this environment: their modules are loaded at first use, their backends by nobody here."""

    def __init__(self, found: Iterable[EntryPoint] | None = None) -> None:
        """Use the entry points of the group ``conveyor``, or the given ones instead."""
        self._given = found

    @cached_property
    def found(self) -> Sequence[FoundPlugin]:
        """Every plugin, loaded or broken, by name."""
        return tuple(sorted(self._loaded[1].values(), key=lambda plugin: plugin.name))

    @cached_property
    def stores(self) -> Sequence[Offer[StoreProvider]]:
        """Every store on offer."""
        return self._offers("conveyor_stores")

    @cached_property
    def job_queues(self) -> Sequence[Offer[JobQueueProvider]]:
        """Every job queue strategy on offer."""
        return self._offers("conveyor_job_queues")

    def store_provider(self, url: str) -> StoreProvider:
        """Return the provider for a store URL.

        Raises:
            ConfigurationError: it is no URL, or two plugins claim its scheme.
            UnknownStrategyError: no plugin answers to the scheme.
            PluginError: the plugin that should is broken, or keeps another version of the contracts.
        """
        scheme, separator, _ = url.partition("://")
        if not separator or not scheme:
            raise ConfigurationError(f'{url!r} is no store URL; write for example "memory://" or "sqlite:///jobs.db"')
        named = [(known, offer) for offer in self.stores for known in offer.provider.schemes]
        return self._choose("store", scheme, named)

    def job_queue_provider(self, name: str) -> JobQueueProvider:
        """Return the provider of a job queue strategy by its name; raises as `store_provider` does."""
        return self._choose("job queue", name, [(offer.provider.name, offer) for offer in self.job_queues])

    def _choose(self, kind: str, name: str, named: Sequence[tuple[str, Offer[P]]]) -> P:
        chosen = [offer for known, offer in named if known == name]
        if not chosen:
            self._raise_if_broken(name)
            raise UnknownStrategyError(kind, name, {known for known, _ in named})
        if len(chosen) > 1:
            claims = " and ".join(f"{o.plugin.name!r} of {o.plugin.distribution!r}" for o in chosen)
            raise ConfigurationError(f"the {kind} {name!r} is claimed by two plugins, {claims}; uninstall one")
        offer = chosen[0]
        if offer.provider.contract_version != CONTRACT_VERSION:
            raise PluginError(
                offer.plugin.name,
                offer.plugin.distribution,
                f"its contracts are of version {offer.provider.contract_version}, ours of {CONTRACT_VERSION}",
            )
        return offer.provider

    def _raise_if_broken(self, name: str) -> None:
        for plugin in self.found:
            if plugin.name == name and plugin.error is not None:
                raise PluginError(plugin.name, plugin.distribution, repr(plugin.error)) from plugin.error

    def _offers(self, hook_name: str) -> Sequence[Offer[Any]]:
        manager, found = self._loaded
        offers: list[Offer[Any]] = []
        # One implementation at a time, so that what is wrong can be told of the plugin it is wrong with.
        for implementation in getattr(manager.hook, hook_name).get_hookimpls():
            plugin = found[implementation.plugin_name]
            providers = _attempt(plugin, implementation.function)
            offers.extend(Offer(provider, plugin) for provider in providers or ())
        return offers

    @cached_property
    def _loaded(self) -> tuple[pluggy.PluginManager, dict[str, FoundPlugin]]:
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        found: dict[str, FoundPlugin] = {}
        for entry_point in self._given if self._given is not None else entry_points(group=hookspecs.PROJECT):
            plugin = _describe(entry_point)
            if entry_point.name in found:
                first = found[entry_point.name]
                raise ConfigurationError(
                    f"two plugins are called {plugin.name!r}: one of {first.distribution!r}, "
                    f"one of {plugin.distribution!r}; uninstall one"
                )
            found[entry_point.name] = plugin
            module = _attempt(plugin, entry_point.load)
            if module is not None:
                _attempt(plugin, lambda m=module, n=plugin.name: manager.register(m, n))  # type: ignore[misc]
        return manager, found


def _describe(entry_point: EntryPoint) -> FoundPlugin:
    distribution = entry_point.dist
    return FoundPlugin(
        name=entry_point.name,
        distribution=distribution.name if distribution is not None else "unknown",
        version=distribution.version if distribution is not None else "unknown",
        module=entry_point.value,
    )


def _attempt(plugin: FoundPlugin, step: Callable[[], Any]) -> Any:
    # A stranger's code may raise anything; one broken plugin must not take the others with it.
    try:
        return step()
    except Exception as exc:  # noqa: BLE001 - kept, shown by `plugins list`, raised when the plugin is selected
        plugin.error = exc
        logger.warning("plugin %r of %r is broken and left out: %r", plugin.name, plugin.distribution, exc)
        return None


def find_store_provider(url: str) -> StoreProvider:
    """Return the provider for a store URL among the plugins installed; raises as `Plugins.store_provider` does."""
    return Plugins().store_provider(url)
