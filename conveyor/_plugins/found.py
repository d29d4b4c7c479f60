"""Found plugins: what the metadata of installed distributions says of them; nothing of theirs is imported."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
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
    found = [_describe(entry_point) for entry_point in (_entry_points() if given is None else given)]
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
        if _read(distribution, {}):
            places.setdefault(_normalized(distribution.name), []).append(str(distribution.locate_file("")))
    return {name: found for name, found in places.items() if len(set(found)) > 1}


def _entry_points() -> Iterable[EntryPoint]:
    try:
        return entry_points(group=PROJECT)
    except Exception:  # noqa: BLE001 - one distribution's file is unreadable: read the others one by one
        faults: dict[str, Exception] = {}
        by_distribution: dict[str, Iterable[EntryPoint]] = {}
        for distribution in distributions():
            # The first on the path counts, as with importlib.
            by_distribution.setdefault(
                _normalized(distribution.name or str(id(distribution))), _read(distribution, faults)
            )
        return [entry_point for found in by_distribution.values() for entry_point in found]


def _read(distribution: Distribution, faults: dict[str, Exception]) -> Sequence[EntryPoint]:
    try:
        return tuple(distribution.entry_points.select(group=PROJECT))
    except Exception as exc:  # noqa: BLE001 - a stranger's metadata; `plugins doctor` tells of it
        faults[str(getattr(distribution, "_path", distribution.locate_file("")))] = exc
        return ()


def _describe(entry_point: EntryPoint) -> FoundPlugin:
    distribution = entry_point.dist
    name = (distribution.name if distribution is not None else None) or UNKNOWN
    version = (distribution.version if distribution is not None else None) or UNKNOWN
    return FoundPlugin(entry_point.name, name, version, entry_point.value, entry_point)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
