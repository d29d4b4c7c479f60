"""Diagnosis: what is wrong among the installed plugins, and what is only worth knowing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from conveyor._cli.plugins.views import namesakes
from conveyor._plugins.found import copies, unreadable
from conveyor._plugins.loading import describe
from conveyor._services.unread_options import unread_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._plugins import FoundPlugin, LoadedPlugin, Plugins
    from conveyor._plugins.loading import AnyOffer

__all__ = ["diagnose"]


@frozen
class Finding:
    """Something found: a problem, or a note."""

    kind: str
    what: str
    advice: str = ""
    plugin: str | None = None
    distribution: str | None = None
    is_problem: bool = True


def diagnose(installed: Plugins) -> Sequence[dict[str, Any]]:
    """Import every plugin that may be used, and return the findings, problems first."""
    loaded = [installed.load(plugin) for plugin in installed.allowed]
    findings = [
        *_unreadable(),
        *_copies(),
        *(finding for one in loaded for finding in _of_one(one)),
        *_namesakes(installed),
        *_rivals(loaded),
        *_refused(installed),
        *_idle_names(installed),
        *_unread(installed),
    ]
    return [asdict(finding) for finding in sorted(findings, key=lambda finding: not finding.is_problem)]


def _of_one(loaded: LoadedPlugin) -> Iterator[Finding]:
    plugin = loaded.plugin
    if loaded.error is not None:
        advice = f"reinstall or upgrade {plugin.distribution}, uninstall it, or block {plugin.name}"
        yield _about(plugin, "broken", describe(loaded.error), advice)
        return
    for offer in loaded.offers:
        if offer.misfit is not None:
            yield _about(plugin, "incompatible", offer.misfit.reason, "upgrade the older of the two")
    if not loaded.hooks and not loaded.unknown_hooks:
        yield _about(plugin, "empty", f"{plugin.target} implements no hook", "mark its functions with @hookimpl")
    if loaded.unknown_hooks:
        what = f"it implements hooks that this conveyor does not know: {', '.join(loaded.unknown_hooks)}"
        yield _about(plugin, "unknown_hook", what, "upgrade conveyor, or mend the hook's name", is_problem=False)


def _namesakes(installed: Plugins) -> Iterator[Finding]:
    for plugin in installed.allowed:
        for other in namesakes(installed, plugin):
            if other.distribution > plugin.distribution:
                what = f"{other.distribution!r} {other.version} has a plugin of this name, too"
                yield _about(plugin, "clash", what, "uninstall one, or block one by the name of its distribution")


def _rivals(loaded: Sequence[LoadedPlugin]) -> Iterator[Finding]:
    by_word: dict[tuple[str, str], dict[tuple[str, str], AnyOffer]] = {}
    for offer in (offer for one in loaded for offer in one.offers):
        for word in offer.words:
            by_word.setdefault((offer.kind, word), {})[offer.plugin.origin] = offer
    for (kind, word), offers in by_word.items():
        plugins = [offer.plugin for offer in offers.values()]
        owners = [plugin for plugin in plugins if plugin.name == word]
        if len(plugins) > 1 and len(owners) == 1:
            for plugin in plugins:
                if plugin is not owners[0]:
                    what = f"its {kind} {word!r} is not used: the plugin of that name comes first"
                    yield _about(plugin, "overruled", what, is_problem=False)
        elif len(plugins) > 1 and not owners:
            names = " and ".join(f"{plugin.name!r} of {plugin.distribution!r}" for plugin in plugins)
            yield Finding("clash", f"the {kind} {word!r} is offered by {names}", "uninstall one, or block one")


def _refused(installed: Plugins) -> Iterator[Finding]:
    for plugin in installed.found:
        refusal = installed.rules.refusal(plugin)
        if refusal is not None:
            yield _about(plugin, "blocked", refusal, is_problem=False)


def _idle_names(installed: Plugins) -> Iterator[Finding]:
    for names in (installed.rules.allow, installed.rules.block):
        for name in names.idle(installed.found) if names is not None else ():
            what = f"{name!r} in {names.source if names else ''} is the name of no plugin and no distribution"
            yield Finding("idle_name", what, "mend or remove it", is_problem=False)


def _unread(installed: Plugins) -> Iterator[Finding]:
    for what in unread_options(installed, frozenset()):
        advice = "mend the name, unless a strategy of your own reads it by this one"
        yield Finding("unread_options", what, advice, is_problem=False)


def _unreadable() -> Iterator[Finding]:
    for folder, error in unreadable().items():
        yield Finding("unreadable", f"the entry points in {folder} cannot be read: {describe(error)}", "reinstall it")


def _copies() -> Iterator[Finding]:
    for distribution, places in copies().items():
        what = f"it is on the path more than once, and the first counts: {', '.join(places)}"
        yield Finding("copies", what, "uninstall all but one", distribution=distribution)


def _about(plugin: FoundPlugin, kind: str, what: str, advice: str = "", *, is_problem: bool = True) -> Finding:
    return Finding(kind, what, advice, plugin.name, plugin.distribution, is_problem)
