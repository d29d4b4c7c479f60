"""Batch jobs that are killed with SIGKILL, wherever they are, go on with exactly what remains."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.end_to_end.killing import live
from tests.end_to_end.lives import IMPORTS, is_bad

if TYPE_CHECKING:
    from pathlib import Path

ROWS: Final = 5000
# A seed is a batch of kills, one after the other; with CONVEYOR_FULL=1 there are 50 kills.
KILLS: Final = 8
SEEDS: Final = range(7 if os.environ.get("CONVEYOR_FULL") == "1" else 1)
# Fewer than there are: where something is tried again, there are more.
MOMENTS: Final = 1400
WRITTEN: Final = [number for number in range(1, ROWS + 1) if not is_bad(number)]

# After each kill its locks have to end.
pytestmark = pytest.mark.timeout(600)


def live_in(folder: Path, seed: int, moments: list[int]) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Return what a program says at the end of its last life, and the numbers in its tables, those of parts sorted."""
    folder.mkdir()
    path = folder / "import.db"
    with closing(sqlite3.connect(path)) as database:
        for kind in IMPORTS:
            database.execute(f"CREATE TABLE {kind} (number INTEGER CHECK (number > 0))")
        said = live(f"sqlite:///{path}", ("asyncio", "trio")[seed % 2], folder / "files", ROWS, moments)
        written = {
            kind: [number for (number,) in database.execute(f"SELECT number FROM {kind} ORDER BY rowid")]
            for kind in IMPORTS
        }
    return said, {kind: sorted(numbers) if "parts" in kind else numbers for kind, numbers in written.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_batch_jobs_leave_nothing_out_and_do_nothing_twice(tmp_path: Path, seed: int) -> None:
    unharmed, written = live_in(tmp_path / "unharmed", seed, [])
    assert written == dict.fromkeys(IMPORTS, WRITTEN)
    moments = sorted(random.Random(seed).sample(range(1, MOMENTS), KILLS))
    killed = live_in(tmp_path / "killed", seed, moments)
    assert killed == (unharmed, written)
