"""The example runs as a user would run it, on both backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from server import Server

EXAMPLES: Final = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, backend: str, server: Server, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(path), server.url],
        cwd=tmp_path,
        env=os.environ | {"BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout == "small-ada.png\nfailed: ValueError: attempt 2: broken.png is no picture\n"
    assert not ran.stderr, ran.stderr


def test_there_are_examples() -> None:
    assert EXAMPLES
