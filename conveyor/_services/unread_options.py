"""Options of strategies that nobody reads: their name is misspelt, or what they are for is not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from conveyor._services.settings import find_strategy_tables
from conveyor._services.strategy_options import VARIABLES, variable
from conveyor.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from conveyor._plugins import Plugins

__all__ = ["unread_options"]

# Those that may read options by their names; a store has its own in its URL.
_WITH_OPTIONS: Final = frozenset({"batch strategy", "buffer storage", "file storage", "job queue"})


def unread_options(plugins: Plugins, read: AbstractSet[str]) -> list[str]:
    """Return what to say of each table of pyproject.toml, and each variable, for a strategy that there is not.

    Args:
        plugins: those installed; they are imported only where the name of none, as installed, is the one in question.
        read: names of strategies whose options were read.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or has no tables there.
    """
    installed = {plugin.name for plugin in plugins.found}
    if not any(_of_nobody(installed | read)):
        return []
    offers = [offer for plugin in plugins.allowed for offer in plugins.load(plugin).offers]
    names = {offer.provider.name for offer in offers if offer.kind in _WITH_OPTIONS} | read
    return [
        f"{what} is read by nobody: no strategy {word!r} is installed, and no other has read it: "
        f"{did_you_mean(word, names)}"
        for what, word in _of_nobody(names | installed)
    ]


def _of_nobody(names: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    """Yield each table and each variable of none of these names, and the name that it seems to have."""
    tables, path = find_strategy_tables()
    for name in sorted(tables.keys() - names):
        yield f"[tool.conveyor.strategies.{name}] of {path}", name
    begins = tuple(variable(name, "") for name in names)
    for found in sorted(os.environ):
        if found.startswith(VARIABLES) and not found.startswith(begins):
            yield found, found.removeprefix(VARIABLES).lower().partition("_")[0]
