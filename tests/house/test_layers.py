"""What may import what, as pyproject.toml says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.tree import ROOT


def test_every_room_imports_only_what_it_may() -> None:
    check = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(done.stdout.partition("Broken contracts")[2] or done.stdout + done.stderr, pytrace=False)
