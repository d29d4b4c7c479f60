"""What a program pays for `import conveyor` and for `conveyor --help`: no loop, no codec, no backend."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.house.tree import ROOT

# A name stands for the module and all that is in it. The backends' own doors are listed too: they open late.
HEAVY: Final = (
    "asyncio",
    "cattrs",
    "conveyor._builtin.memory",
    "conveyor._builtin.sqlite",
    "msgspec",
    "sqlite3",
    "trio",
)
HELP: Final = "from conveyor.__main__ import main; assert main(['--help']) == 0"


def imported_by(program: str) -> set[str]:
    """Return the modules that are there once a fresh Python has run the program."""
    program += "\nimport sys\nprint('modules:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("modules:")[2].split())


def heavy(modules: set[str]) -> list[str]:
    """Return the heavy ones among these modules."""
    return sorted(name for name in modules if name in HEAVY or name.startswith(tuple(f"{root}." for root in HEAVY)))


@pytest.mark.parametrize("program", ["import conveyor", HELP], ids=["import", "help"])
def test_nothing_heavy_is_imported(program: str) -> None:
    assert heavy(imported_by(program)) == []


def test_a_heavy_import_is_found() -> None:
    assert "sqlite3" in heavy(imported_by("import sqlite3"))
    assert heavy({"trio.lowlevel", "triolike"}) == ["trio.lowlevel"]
