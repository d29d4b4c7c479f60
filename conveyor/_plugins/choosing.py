"""Choosing: which plugin answers to a name or a URL scheme, by which rule, and what was looked at on the way.

1. The plugin that is called like the word owns it: it alone is imported. Two plugins of that name are an error.
2. Where it offers nothing of the kind, or there is none, every allowed plugin is asked. Two that answer are an error.

So a stranger that lays a hand on a word such as "sqlite" is not asked, and does nobody harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import Factory, define, frozen

from conveyor._plugins.loading import describe, plugin_error
from conveyor.errors import ConfigurationError, UnknownStrategyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._plugins.found import FoundPlugin
    from conveyor._plugins.loading import AnyOffer, LoadedPlugin, Loader
    from conveyor._plugins.rules import Rules

__all__ = ["Choice", "Look", "choose"]

BY_NAME: Final = "the plugin of this name comes first"
BY_OFFER: Final = "it alone offers it"

# What conveyor's own plugins offer: a word that is asked for before one of them is installed is told which it is.
_OURS: Final = {
    ("store", "postgres"): "conveyor-plugin-postgres",
    ("store", "postgresql"): "conveyor-plugin-postgres",
    ("job queue", "nats"): "conveyor-plugin-nats",
    ("job queue", "nats+tls"): "conveyor-plugin-nats",
    ("middleware", "opentelemetry"): "conveyor-plugin-observability",
}


@frozen
class Look:
    """One plugin that was looked at, and what was found."""

    plugin: FoundPlugin
    verdict: str


@define
class Choice:
    """What a word selects: an offer and the rule by which it was chosen, or an error."""

    kind: str
    word: str
    offer: AnyOffer | None = None
    rule: str = ""
    error: ConfigurationError | None = None
    looks: list[Look] = Factory(list)


def choose(
    kind: str,
    word: str,
    *,
    found: Sequence[FoundPlugin],
    rules: Rules,
    loader: Loader,
) -> Choice:
    """Find what offers the strategy of this kind that answers to the word."""
    choice = Choice(kind, word)
    refused = [Look(plugin, refusal) for plugin in found if (refusal := rules.refusal(plugin)) is not None]
    choice.looks += refused
    kept_out = [look.plugin for look in refused]
    allowed = [plugin for plugin in found if plugin not in kept_out]
    if not _choose_by_name(choice, [plugin for plugin in allowed if plugin.name == word], loader):
        _choose_by_offer(choice, allowed, loader)
    if isinstance(choice.error, UnknownStrategyError):
        # Whoever blocked what is called so is told that, not that it is unknown.
        choice.error = next((_kept_out(look) for look in refused if look.plugin.name == word), choice.error)
    if choice.error is None and choice.offer is not None:
        choice.error = choice.offer.misfit
    return choice


def _choose_by_name(choice: Choice, named: Sequence[FoundPlugin], loader: Loader) -> bool:
    """Settle the choice if a plugin has this very name; return whether that was so."""
    if len({plugin.origin for plugin in named}) > 1:
        choice.looks += [Look(plugin, "it is not the only one of this name") for plugin in named]
        choice.error = _clash(f"{_several(named)} are called {choice.word!r}", named)
        return True
    for plugin in named[:1]:
        loaded = loader.load(plugin)
        if loaded.failure is not None:
            choice.looks.append(Look(plugin, f"broken: {describe(loaded.error or loaded.failure)}"))
            choice.error = loaded.failure
            return True
        for offer in _answering(choice, loaded):
            choice.looks.append(Look(plugin, BY_NAME))
            choice.offer, choice.rule = offer, BY_NAME
            return True
    return False


def _choose_by_offer(choice: Choice, allowed: Sequence[FoundPlugin], loader: Loader) -> None:
    known: set[str] = set()
    offers: dict[tuple[str, str], AnyOffer] = {}
    broken: list[FoundPlugin] = []
    for plugin in allowed:
        loaded = loader.load(plugin)
        if loaded.error is not None:
            choice.looks.append(Look(plugin, f"broken: {describe(loaded.error)}"))
            loader.warn(loaded)
            broken.append(plugin)
            continue
        words = [word for offer in loaded.offers if offer.kind == choice.kind for word in offer.words]
        known.update(words)
        choice.looks.append(Look(plugin, f"offers {choice.kind}s: {', '.join(words)}" if words else "offers none"))
        for offer in _answering(choice, loaded):
            offers[plugin.origin] = offer
    if len(offers) == 1:
        (choice.offer,) = offers.values()
        choice.rule = BY_OFFER
    elif offers:
        rivals = [offer.plugin for offer in offers.values()]
        choice.error = _clash(f"the {choice.kind} {choice.word!r} is offered by {_several(rivals)}", rivals)
    else:
        choice.error = UnknownStrategyError(
            choice.kind,
            choice.word,
            known,
            broken=[str(plugin) for plugin in broken],
            distribution=_OURS.get((choice.kind, choice.word), ""),
        )


def _answering(choice: Choice, loaded: LoadedPlugin) -> list[AnyOffer]:
    return [offer for offer in loaded.offers if offer.kind == choice.kind and choice.word in offer.words]


def _clash(what: str, plugins: Sequence[FoundPlugin]) -> ConfigurationError:
    names = " and ".join(f"{plugin.name!r} of {plugin.distribution!r} {plugin.version}" for plugin in plugins)
    return ConfigurationError(f"{what}: {names}; uninstall one, or block one by the name of its distribution")


def _several(plugins: Sequence[FoundPlugin]) -> str:
    return "two plugins" if len(plugins) == 2 else f"{len(plugins)} plugins"


def _kept_out(look: Look) -> ConfigurationError:
    return plugin_error(look.plugin, look.verdict, "change that list, or select something else")
