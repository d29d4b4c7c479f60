"""Found plugins: what the metadata of installed distributions says of them; nothing of theirs is imported."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distributions
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from conveyor.hookspecs import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["FoundPlugin", "copies", "scan", "unreadable"]

UNKNOWN: Final = "unknown"


@frozen
class FoundPlugin:
    """A plugin as its distribution describes it.

    Attributes:
        name: the entry point's name, by which it is known.
        target: what the entry point names: a module, or ``module:attr``.
    """

    name: str
    distribution: str
    version: str
    target: str
    entry_point: EntryPoint = field(repr=False, eq=False)

    @property
    def origin(self) -> tuple[str, str]:
        """Where its code comes from: two names for one origin are no rivals."""
        return self.distribution, self.target

    @property
    def requires(self) -> Sequence[str]:
        """What its distribution requires, as its metadata says."""
        distribution = self.entry_point.dist
        return tuple(distribution.requires or ()) if distribution is not None else ()

    def __str__(self) -> str:
        """Return what messages call it: all that tells it from another."""
        return f"{self.name!r} of {self.distribution!r} {self.version} ({self.name} = {self.target})"


def scan(given: Iterable[EntryPoint] | None = None) -> Sequence[FoundPlugin]:
    """Return the plugins of this environment, or those of the given entry points, by name and distribution."""
    if given is not None:
        found = [plugin for entry_point in given for plugin in _described(entry_point.dist, [entry_point])]
    else:
        found = [plugin for distribution in _with_plugins() for plugin in _described(distribution, _read(distribution))]
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def unreadable() -> Mapping[str, Exception]:
    """Return the distributions whose entry points cannot be read, by the folder of their metadata."""
    faults: dict[str, Exception] = {}
    for distribution in distributions():
        _read(distribution, faults)
    return faults


def copies() -> Mapping[str, Sequence[str]]:
    """Return the distributions with plugins that are on the path more than once: by name, where each stands.

    Python uses the first and passes over the others.
    """
    places: dict[str, list[str]] = {}
    for distribution in distributions():
        if _read(distribution):
            places.setdefault(_normalized(distribution.name), []).append(str(distribution.locate_file("")))
    return {name: found for name, found in places.items() if len(set(found)) > 1}


def _with_plugins() -> Iterable[Distribution]:
    """Return the distributions that may have plugins: of several of one name the first on the path, as Python does.

    Every start of a process waits for this, so only what declares the group is read any further.
    """
    named: dict[str, Distribution] = {}
    for distribution in distributions():
        if _declares_plugins(distribution):
            name = distribution.name or UNKNOWN
            named.setdefault(_normalized(name), _first_of_name(name) or distribution)
    return named.values()


def _declares_plugins(distribution: Distribution) -> bool:
    try:
        text = distribution.read_text("entry_points.txt")
    except Exception:  # noqa: BLE001 - a stranger's metadata; `plugins doctor` tells of it
        return False
    return text is not None and f"[{PROJECT}]" in text


def _first_of_name(name: str) -> Distribution | None:
    try:
        return Distribution.from_name(name)
    except PackageNotFoundError:  # the folder of its metadata has another name
        return None


def _read(distribution: Distribution, faults: dict[str, Exception] | None = None) -> Sequence[EntryPoint]:
    try:
        return tuple(distribution.entry_points.select(group=PROJECT))
    except Exception as exc:  # noqa: BLE001 - a stranger's metadata; `plugins doctor` tells of it
        if faults is not None:
            faults[str(getattr(distribution, "_path", distribution.locate_file("")))] = exc
        return ()


def _described(distribution: Distribution | None, entry_points: Iterable[EntryPoint]) -> Sequence[FoundPlugin]:
    """Read the metadata of a distribution, once, for all of its plugins."""
    about = None if distribution is None else distribution.metadata
    name = UNKNOWN if about is None else about["Name"] or UNKNOWN
    version = UNKNOWN if about is None else about["Version"] or UNKNOWN
    return [FoundPlugin(each.name, name, version, each.value, each) for each in entry_points]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
