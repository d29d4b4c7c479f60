"""Each example runs as a user would run it, on both backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
SAID: Final = {
    "counted_runs": (
        'conveyor_runs_total{name="send_welcome",outcome="completed",queue="emails"} 1.0\n'
        'conveyor_runs_total{name="send_welcome",outcome="failed",queue="emails"} 1.0\n'
    ),
    "traces": "producer: add emails\nconsumer: run emails, linked to 1 completed\n",
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", SAID)
def test_an_example_runs(name: str, backend: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path,
        env=os.environ | {"BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout == SAID[name]


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SAID)
