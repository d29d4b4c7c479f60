"""The memory that batch jobs take does not grow with their rows: of files, made, checked, in parts, bad, exported."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TABLE: Final = "CREATE TABLE products (number INTEGER, name TEXT)"
# Some blocks of a file, and many more. A row that somebody holds takes 450 bytes; whether one block of a file more is
# read ahead at the peak is luck, and makes a hundred.
FEW, MANY = 2_000, 8_000
MOST_BYTES_A_ROW: Final = 200
MILLION: Final = 1_000_000
# SQLite keeps pages of its file, up to 32 megabytes for each connection that writes: these rows fill two.
MOST_MEGABYTES: Final = 2 * 32 + 16


def peaks_of(folder: Path, backend: str, gauge: str, few: int, many: int) -> dict[str, tuple[int, int]]:
    """Return the peaks of each kind of batch jobs."""
    path = folder / "rows.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(TABLE)
    # What a loss of power leaves is not asked here, and takes long.
    url = f"sqlite:///{path}?synchronous=normal"
    command = [sys.executable, "-m", "tests.end_to_end.growing", url, backend, str(folder / "files"), gauge]
    said = subprocess.check_output([*command, str(few), str(many)], cwd=ROOT, text=True)
    return {kind: (peaks[0], peaks[1]) for kind, peaks in json.loads(said).items()}


@pytest.mark.timeout(300)
def test_thousands_of_rows_more_leave_nothing_in_memory(tmp_path: Path) -> None:
    for kind, (few, many) in peaks_of(tmp_path, "trio", "traced", FEW, MANY).items():
        assert many - few < MOST_BYTES_A_ROW * (MANY - FEW), kind


@pytest.mark.skipif(os.environ.get("CONVEYOR_FULL") != "1", reason="takes long: CONVEYOR_FULL=1 runs it")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_million_rows_take_as_much_memory_as_two_thousand(tmp_path: Path, backend: str) -> None:
    for kind, (few, many) in peaks_of(tmp_path, backend, "resident", FEW, MILLION).items():
        assert many - few < MOST_MEGABYTES << 20, kind
