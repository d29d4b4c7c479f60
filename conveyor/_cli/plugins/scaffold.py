"""Scaffold: writes the package of a new plugin from the templates beside this module."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from conveyor import __version__
from conveyor._cli.failures import CommandError, ExitCode
from conveyor.contracts.capabilities import CONTRACT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

__all__ = ["Kind", "write_plugin"]

Kind: TypeAlias = Literal["store", "job-queue"]

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PREFIX: Final = "conveyor-plugin-"
OURS: Final = ("memory", "sqlite", "store")
# Files that every kind gets, and the suffix that keeps the templates from being taken for our own modules.
SHARED: Final = "shared"
SUFFIX: Final = ".txt"


def write_plugin(name: str, kind: Kind, parent: Path) -> tuple[Path, Sequence[Path]]:
    """Write the package of a new plugin and return its folder and its files.

    Raises:
        CommandError: the name does not do, or the folder is there already and holds something.
    """
    _check_name(name)
    folder = parent / f"{PREFIX}{name}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(ExitCode.REFUSED, f"{folder} is there already", "choose another name, or another --path")
    words = _words(name)
    written: list[Path] = []
    for source, relative in _templates(kind):
        target = folder / Template(relative).substitute(words)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(source.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
        written.append(target)
    return folder, sorted(written)


def _check_name(name: str) -> None:
    if name.startswith(PREFIX):
        advice = f"conveyor plugins new {name.removeprefix(PREFIX)}"
        raise CommandError(ExitCode.USAGE, f"{PREFIX} is put before the name by itself", advice)
    if not NAME.fullmatch(name):
        what = f"{name!r} is no name for a plugin: write lower-case letters, digits and single hyphens, a letter first"
        raise CommandError(ExitCode.USAGE, what, "such as: conveyor plugins new acme-queue")
    if name in OURS:
        raise CommandError(ExitCode.USAGE, f"{name!r} is the name of a plugin in the box", "choose another name")


def _words(name: str) -> Mapping[str, str]:
    return {
        "name": name,
        "title": "".join(part.capitalize() for part in name.split("-")),
        "distribution": f"{PREFIX}{name}",
        "package": f"{PREFIX}{name}".replace("-", "_"),
        "conveyor": __version__,
        "next_conveyor": _next_breaking(__version__),
        "contract_version": str(CONTRACT_VERSION),
    }


def _next_breaking(version: str) -> str:
    """Return the first version whose contracts may differ: the next minor one before 1.0, then the next major one."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return f"{major + 1}" if major else f"0.{minor + 1}"


def _templates(kind: Kind) -> Iterator[tuple[Traversable, str]]:
    """Yield each template with the path it is written to; what a kind has comes after what all share."""
    root = files("conveyor._cli.plugins") / "templates"
    for part in (SHARED, kind):
        yield from _files_below(root / part, "")


def _files_below(folder: Traversable, prefix: str) -> Iterator[tuple[Traversable, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files_below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield entry, f"{prefix}{entry.name.removesuffix(SUFFIX)}"
