"""The distributions of this workspace, and what their archives must hold."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from packaging.metadata import InvalidMetadata, Metadata

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["UNFINISHED", "Distribution", "distributions", "faults_of_metadata", "faults_of_sdist", "faults_of_wheel"]

# Built and installed, but not yet whole. Each has a reason; one that is no longer needed fails too.
UNFINISHED: Final[dict[str, str]] = {}

BESIDE: Final = frozenset({"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"})
# hatchling adds the ignore file by itself.
ALLOWED: Final = frozenset({".gitignore", "CHANGELOG.md"})


@frozen
class Distribution:
    """A folder with a pyproject.toml."""

    folder: Path
    name: str
    packages: tuple[str, ...]

    @property
    def files(self) -> frozenset[str]:
        """Every file of its packages, as the archives should hold them."""
        return frozenset(
            path.relative_to(self.folder).as_posix()
            for package in self.packages
            for path in (self.folder / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )

    def archive(self, out: Path, ending: str) -> Path:
        """Return what was built of it."""
        (built,) = out.glob(f"{self.name.replace('-', '_')}-[0-9]*{ending}")
        return built

    def faults(self, out: Path) -> list[str]:
        """Return what is wrong with its wheel and its sdist."""
        wheel, sdist = self.archive(out, ".whl"), self.archive(out, ".tar.gz")
        with zipfile.ZipFile(wheel) as opened:
            names = opened.namelist()
            (metadata,) = [opened.read(name) for name in names if name.endswith(".dist-info/METADATA")]
        with tarfile.open(sdist) as archive:
            members = [member.name.partition("/")[2] for member in archive if member.isfile()]
        return [
            *(f"{wheel.name} {fault}" for fault in faults_of_wheel(names, self.files)),
            *(f"{wheel.name} {fault}" for fault in faults_of_metadata(metadata)),
            *(f"{sdist.name} {fault}" for fault in faults_of_sdist(members, self.files)),
        ]


def distributions() -> list[Distribution]:
    """Return the distribution of the checkout, and then those of its plugins."""
    return [_read(path) for path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")))]


def _read(path: Path) -> Distribution:
    settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    packages = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return Distribution(path.parent, settings["project"]["name"], tuple(packages))


def faults_of_wheel(names: Iterable[str], files: frozenset[str]) -> list[str]:
    """Return what a wheel lacks of the package's files, and what else it has."""
    names = frozenset(names)
    information = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    packages = {file.partition("/")[0] for file in files}
    faults = _differences(names - information, files)
    faults += [f"lacks {package}/py.typed" for package in sorted(packages) if f"{package}/py.typed" not in names]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in information):
        faults.append("lacks its licence")
    return faults


def faults_of_sdist(names: Iterable[str], files: frozenset[str]) -> list[str]:
    """Return what an sdist lacks of what a wheel is built from, and what else it has."""
    return _differences(frozenset(names) - ALLOWED, files | BESIDE)


def _differences(found: frozenset[str], wanted: frozenset[str]) -> list[str]:
    return [*(f"lacks {name}" for name in sorted(wanted - found)), *(f"has {name}" for name in sorted(found - wanted))]


def faults_of_metadata(text: bytes) -> list[str]:
    """Return what a package index would refuse, or show badly."""
    try:
        metadata = Metadata.from_email(text, validate=True)
    except ExceptionGroup as group:
        return [
            f"says {error.field}: {error}" if isinstance(error, InvalidMetadata) else str(error)
            for error in group.exceptions
        ]
    shown = {
        "summary": metadata.summary,
        "description": metadata.description,
        "description content type": metadata.description_content_type,
        "licence": metadata.license_expression,
        "Python": metadata.requires_python,
    }
    return [f"says nothing about its {name}" for name, value in shown.items() if not value]
