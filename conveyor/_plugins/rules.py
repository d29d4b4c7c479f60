"""Rules: which plugins may be used. They are asked before anything of a plugin is imported."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Self

from attrs import evolve, frozen

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor._plugins.found import FoundPlugin

__all__ = ["NameList", "Rules"]

ARGUMENT: Final = "the argument {}= of Plugins"


@frozen
class NameList:
    """Names of plugins or of distributions, ``*`` and ``?`` allowed, and where they were given."""

    names: tuple[str, ...]
    source: str

    @classmethod
    def parse(cls, names: object, source: str) -> Self:
        """Return the list of these names.

        Raises:
            ConfigurationError: they are no list of strings.
        """
        if isinstance(names, str) or not isinstance(names, (list, tuple, set, frozenset)):
            raise ConfigurationError(f"{source} must be a list of names, got {names!r}")
        wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
        if wrong:
            raise ConfigurationError(f"{source} must be a list of names, and {wrong[0]!r} is none")
        return cls(tuple(name.strip() for name in names), source)

    def match(self, plugin: FoundPlugin) -> str | None:
        """Return the first name that means this plugin, or None."""
        own = (plugin.name, plugin.distribution)
        return next((name for name in self.names if any(fnmatchcase(word, name) for word in own)), None)

    def idle(self, plugins: Iterable[FoundPlugin]) -> Sequence[str]:
        """Return the names that mean none of these plugins."""
        found = [word for plugin in plugins for word in (plugin.name, plugin.distribution)]
        return tuple(name for name in self.names if not any(fnmatchcase(word, name) for word in found))


@frozen
class Rules:
    """Which plugins may be used: those allowed, or all where None is said, but never those blocked."""

    allow: NameList | None = None
    block: NameList | None = None

    @classmethod
    def given(cls, allow: Sequence[str] | None, block: Sequence[str] | None) -> Self:
        """Return the rules given as arguments."""
        return cls(
            None if allow is None else NameList.parse(allow, ARGUMENT.format("allow")),
            None if block is None else NameList.parse(block, ARGUMENT.format("block")),
        )

    def over(self, others: Rules) -> Rules:
        """Return these rules, and the others where these say nothing."""
        return evolve(self, allow=self.allow or others.allow, block=self.block or others.block)

    def refusal(self, plugin: FoundPlugin) -> str | None:
        """Return which rule keeps a plugin out, as a message says it, or None."""
        blocking = self.block.match(plugin) if self.block is not None else None
        if self.block is not None and blocking is not None:
            return f"it is blocked by {blocking!r} in {self.block.source}"
        if self.allow is not None and self.allow.match(plugin) is None:
            return f"it is not among those allowed by {self.allow.source} ({', '.join(self.allow.names) or 'none'})"
        return None
