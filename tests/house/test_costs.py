"""`pytest -p tests.costs` says which tests take the most CPU, whoever used it for them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TESTS: Final = """
import subprocess, sys, time
import pytest

BUSY = "import time\\nwhile time.process_time() < {}: ..."

def test_cheap():
    time.sleep(0.5)

@pytest.mark.parametrize("seconds", [0.3, 0.4])
def test_by_a_child(seconds):
    subprocess.run([sys.executable, "-c", BUSY.format(seconds)], check=True)

def test_here():
    end = time.process_time() + 0.3
    while time.process_time() < end: ...
"""


def test_the_dearest_comes_first_and_children_count_and_waiting_does_not(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.costs", "-p", "no:cacheprovider", "test_some.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [line.split() for line in run.stdout.rpartition("the dearest tests")[2].splitlines() if "::" in line]
    seconds = {name.rpartition("::")[2]: float(spent) for spent, name in lines}
    assert list(seconds) == ["test_by_a_child", "test_here", "test_cheap"]
    assert seconds["test_by_a_child"] >= 0.7
    assert seconds["test_here"] >= 0.3
    assert seconds["test_cheap"] < 0.3
