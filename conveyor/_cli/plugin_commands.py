"""Commands that plugins bring: looked for when none of ours is called, and when all are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._cli.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

    from conveyor._plugins import Plugins
    from conveyor.contracts.providers import CommandProvider

__all__ = ["add_plugin_commands"]

KIND: Final = "command"
OURS: Final = frozenset(name for name, _, _ in COMMANDS)


def add_plugin_commands(app: App, arguments: Sequence[str]) -> None:
    """Add the command that is called, where it is none of ours; for the list of all commands, every one.

    Raises:
        PluginError: the plugin that is called like it is broken, or keeps another version of the contracts.
        ConfigurationError: two plugins offer it.
    """
    word = next((argument for argument in arguments if not argument.startswith("-")), None)
    if word in OURS or (word is None and arguments and not {"-h", "--help"} & set(arguments)):
        return
    from conveyor._services.plugin_rules import installed_plugins

    if word is None:
        _add_all(app, installed_plugins())
    else:
        _add_called(app, word, installed_plugins())


def _add_called(app: App, word: str, installed: Plugins) -> None:
    from conveyor.contracts.providers import CommandProvider
    from conveyor.errors import UnknownStrategyError

    choice = installed.choose(KIND, word)
    if choice.error is not None and not isinstance(choice.error, UnknownStrategyError):
        raise choice.error
    if choice.offer is not None and isinstance(choice.offer.provider, CommandProvider):
        _add(app, choice.offer.provider)


def _add_all(app: App, installed: Plugins) -> None:
    from conveyor.contracts.providers import CommandProvider
    from conveyor.errors import ConfigurationError

    try:
        # The plugins in the box have none, and what they import is more than a list of commands is worth.
        strangers = [plugin for plugin in installed.allowed if plugin.distribution != "conveyor"]
    except ConfigurationError:
        return  # a list of commands must come whatever the settings say; every command says what is wrong with them
    offers = [offer for plugin in strangers for offer in installed.load(plugin).offers]
    found: dict[str, list[CommandProvider]] = {}
    for offer in offers:
        if isinstance(offer.provider, CommandProvider) and offer.misfit is None:
            found.setdefault(offer.provider.name, []).append(offer.provider)
    for name, providers in sorted(found.items()):
        # One that two offer is an error for who calls it; ours are called whatever a plugin says.
        if name not in OURS and len(set(providers)) == 1:
            _add(app, providers[0])


def _add(app: App, provider: CommandProvider) -> None:
    app.command(provider.target, name=provider.name, help=provider.summary, sort_key=len(COMMANDS))
