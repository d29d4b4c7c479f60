"""An import that is killed with SIGKILL, wherever it is, goes on with exactly the rows that remain."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.end_to_end.importing import is_bad
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ROWS: Final = 5000
# With CONVEYOR_FULL=1 there are more.
SEEDS: Final = range(50 if os.environ.get("CONVEYOR_FULL") == "1" else 8)
# About as many lines as the program prints before it is through.
LINES: Final = 150


def start(path: Path, seed: int) -> subprocess.Popen[str]:
    backend = ("asyncio", "trio")[seed % 2]
    command = [sys.executable, "-m", "tests.end_to_end.importing", f"sqlite:///{path}", backend, str(ROWS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def lines_of(program: subprocess.Popen[str], most: int | None = None) -> list[str]:
    assert program.stdout is not None
    lines: list[str] = []
    for line in program.stdout:
        lines.append(line.strip())
        if len(lines) == most:
            break
    return lines


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_import_leaves_nothing_out_and_does_nothing_twice(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "import.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE products (number INTEGER CHECK (number > 0))")
    database.close()
    kill_at = random.Random(seed).randrange(1, LINES)
    with start(path, seed) as program:
        assert len(lines_of(program, kill_at)) == kill_at
        program.kill()
    with start(path, seed) as program:
        assert lines_of(program)[-1] == "completed_with_errors"
    assert program.returncode == 0
    database = sqlite3.connect(path)
    written = [number for (number,) in database.execute("SELECT number FROM products ORDER BY rowid")]
    assert written == [number for number in range(1, ROWS + 1) if not is_bad(number)]
    bad = [number for (number,) in database.execute("SELECT row_number FROM batch_errors ORDER BY row_number")]
    assert bad == [number for number in range(1, ROWS + 1) if is_bad(number)]
    database.close()
