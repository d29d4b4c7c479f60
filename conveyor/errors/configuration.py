"""The root of the tree, and what is wrong before any I/O."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CapabilityError",
    "ConfigurationError",
    "ConveyorError",
    "ConveyorInternalError",
    "PluginError",
    "UnknownStrategyError",
    "did_you_mean",
]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the tail of an error message: the nearest known word, or all of them.

    >>> did_you_mean("sqlit", ["memory", "sqlite"])
    "did you mean 'sqlite'? (known: memory, sqlite)"
    """
    names = sorted(known)
    if not names:
        return "none are known"
    listed = ", ".join(names)
    nearest = get_close_matches(word, names, n=1)
    return f"did you mean {nearest[0]!r}? (known: {listed})" if nearest else f"known: {listed}"


class ConveyorError(Exception):
    """The root of every error that conveyor raises on purpose."""


class ConfigurationError(ConveyorError):
    """Something given to conveyor is wrong; raised before any I/O took place."""


class UnknownStrategyError(ConfigurationError):
    """No installed plugin provides a strategy of this kind under this name or URL scheme.

    Attributes:
        distribution: which of conveyor's own distributions would, such as ``conveyor-plugin-postgres``; else empty.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], broken: Iterable[str] = (), *, distribution: str = ""
    ) -> None:
        self.kind = kind
        self.name = name
        self.distribution = distribution
        self.known: tuple[str, ...] = tuple(sorted(known))
        self.broken: tuple[str, ...] = tuple(broken)
        unasked = f"; these are broken and could not be asked: {', '.join(self.broken)}" if self.broken else ""
        missing = f"install the distribution {distribution!r}, which has it; " if distribution else ""
        super().__init__(
            f"no {kind} is called {name!r}: {missing}{did_you_mean(name, self.known)}; others come with plugins, "
            f"once their distribution is installed{unasked}"
        )


class PluginError(ConfigurationError):
    """A plugin that was selected could not be used; the cause is chained."""

    def __init__(
        self,
        plugin: str,
        distribution: str,
        reason: str,
        *,
        version: str = "unknown",
        entry_point: str = "",
        advice: str = "",
    ) -> None:
        self.plugin = plugin
        self.distribution = distribution
        self.reason = reason
        self.version = version
        self.entry_point = entry_point
        place = f" (entry point {entry_point})" if entry_point else ""
        super().__init__(
            f"plugin {plugin!r} of distribution {distribution!r} {version}{place} cannot be used: {reason}"
            + (f"; {advice}" if advice else "")
        )


class CapabilityError(ConfigurationError):
    """The store in use, or the job queue strategy (`kind` says which), declares that it cannot do what was asked."""

    def __init__(self, store: str, capability: str, needed_by: str, *, kind: str = "store", advice: str = "") -> None:
        self.store = store
        self.capability = capability
        self.needed_by = needed_by
        self.kind = kind
        self.advice = advice
        super().__init__(
            f"{needed_by} needs the capability {capability!r}, which the {kind} {store!r} does not have"
            + (f"; {advice}" if advice else "")
        )


class ConveyorInternalError(ConveyorError):
    """A bug in conveyor itself; please report it with the traceback."""
