"""Each example runs as a user would run it, on both backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EXAMPLES: Final = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, backend: str, empty_url: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(path), empty_url],
        cwd=tmp_path,
        env=os.environ | {"BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout == "rolled back: 0 jobs\ncommitted: Persuasion is packed, 1 in all\n"


def test_there_are_examples() -> None:
    assert EXAMPLES
