"""Batch jobs in PostgreSQL that are killed with SIGKILL, wherever they are, go on with exactly what remains."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

ROOT: Final = Path(__file__).parents[3]
ROWS: Final = 5000
IMPORTS: Final = ("made", "made_in_parts", "from_file", "file_in_parts")
# Fewer than there are: where something is tried again, there are more.
MOMENTS: Final = 1400
WRITTEN: Final = [number for number in range(1, ROWS + 1) if number % 499]
# A seed is a batch of kills, one after the other; with CONVEYOR_FULL=1 there are 50 kills.
KILLS, SEEDS = (8, range(7)) if os.environ.get("CONVEYOR_FULL") == "1" else (4, range(1))

# After each kill its locks have to end.
pytestmark = pytest.mark.timeout(600)


def live(url: str, folder: Path, seed: int, moments: list[int]) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Return what a program says at the end of its last life, and the numbers in its tables, those of parts sorted."""
    backend = ("asyncio", "trio")[seed % 2]
    command = [sys.executable, "-m", "tests.end_to_end.killing", url, backend, str(folder), str(ROWS)]
    with psycopg.connect(url, autocommit=True) as connection:
        for kind in IMPORTS:
            connection.execute(f"drop table if exists {kind}")
            connection.execute(f"create table {kind} (id serial, number integer check (number > 0))")
        said = subprocess.check_output([*command, *map(str, moments)], cwd=ROOT, text=True)
        written = {
            kind: [number for (number,) in connection.execute(f"select number from {kind} order by id").fetchall()]
            for kind in IMPORTS
        }
    return json.loads(said), {
        kind: sorted(numbers) if "parts" in kind else numbers for kind, numbers in written.items()
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_batch_jobs_leave_nothing_out_and_do_nothing_twice(
    empty_url: str, cleaner: Any, tmp_path: Path, seed: int
) -> None:
    unharmed, written = live(empty_url, tmp_path / "unharmed", seed, [])
    assert written == dict.fromkeys(IMPORTS, WRITTEN)
    cleaner.empty()
    moments = sorted(random.Random(seed).sample(range(1, MOMENTS), KILLS))
    assert live(empty_url, tmp_path / "killed", seed, moments) == (unharmed, written)
