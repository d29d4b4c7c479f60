"""Each example runs as a user would run it, on both backends."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.house.tree import ROOT, relative

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES: Final = sorted((ROOT / "examples").glob("*/main.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES, "examples/NN_name/main.py: there is none"


def test_each_example_can_be_run() -> None:
    folders = [path for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [relative(folder) for folder in folders if not (folder / "main.py").exists()] == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("path", EXAMPLES, ids=relative)
def test_an_example_runs(path: Path, backend: str, tmp_path: Path) -> None:
    """In an empty folder, so that its files land there. Those that read BACKEND run on that backend."""
    if backend == "trio" and "BACKEND" not in path.read_text(encoding="utf-8"):
        pytest.skip("the example is written for one backend")
    environment = os.environ | {"BACKEND": backend}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
