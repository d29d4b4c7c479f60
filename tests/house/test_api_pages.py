"""Every public name has its docstring on a page of docs/reference/api."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Final

import conveyor
from tests.house.tree import PACKAGE, ROOT, imported_name

PAGES: Final = ROOT / "docs" / "reference" / "api"
MODULE: Final = re.compile(r"^\.\. automodule:: (\S+)$", re.MULTILINE)
OBJECT: Final = re.compile(r"^\.\. auto(?:class|function):: conveyor\.(\w+)(?:\(\))?$", re.MULTILINE)
ROOMS: Final = ("errors", "hookspecs.py", "codec", "model", "contracts", "testing")
# Parts of a package whose names are all offered by the package itself, and packages that offer none.
WITHIN: Final = re.compile(
    r"conveyor\.(?:codec|errors|testing)\..*|conveyor\.(?:model|model\.batches|model\.buffers|model\.schedules|contracts)"
)
# Within these, what is imported by its own name all the same.
APART: Final = {
    "conveyor.codec.tables",
    "conveyor.testing.batches",
    "conveyor.testing.pytest_plugin",
    "conveyor.testing.faults",
    "conveyor.testing.conformance",
    "conveyor.testing.job_queues",
}


def directives(pattern: re.Pattern[str]) -> set[str]:
    """Return what the pages ask autodoc for."""
    return {name for page in PAGES.glob("*.md") for name in pattern.findall(page.read_text(encoding="utf-8"))}


def public_modules() -> set[str]:
    """Return the modules whose names users and plugins import."""
    rooms = [PACKAGE / room for room in ROOMS]
    paths = [path for room in rooms for path in (room.rglob("*.py") if room.is_dir() else [room])]
    return {name for path in paths if not WITHIN.fullmatch(name := imported_name(path))} | APART


def test_every_public_module_has_its_place() -> None:
    assert sorted(public_modules() - directives(MODULE)) == []
    assert sorted(directives(MODULE) - public_modules()) == []


def test_every_name_of_the_front_door_has_its_place() -> None:
    """Its own, or that of the public module where it is at home."""
    at_home = {name for module in directives(MODULE) for name in import_module(module).__all__}
    assert sorted(set(conveyor.__all__) - {"__version__"} - directives(OBJECT) - at_home) == []
