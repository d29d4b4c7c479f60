"""The memory that batch jobs in PostgreSQL take does not grow with their rows, with CONVEYOR_FULL=1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import psycopg
import pytest

ROOT: Final = Path(__file__).parents[3]
FEW, MANY = 2_000, 1_000_000
MOST_MEGABYTES: Final = 16


@pytest.mark.skipif(os.environ.get("CONVEYOR_FULL") != "1", reason="takes long: CONVEYOR_FULL=1 runs it")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_million_rows_take_as_much_memory_as_two_thousand(empty_url: str, tmp_path: Path, backend: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists products")
        connection.execute("create table products (number integer, name text)")
    command = [sys.executable, "-m", "tests.end_to_end.growing", empty_url, backend, str(tmp_path), "resident"]
    said = subprocess.check_output([*command, str(FEW), str(MANY)], cwd=ROOT, text=True)
    for kind, (few, many) in json.loads(said).items():
        assert many - few < MOST_MEGABYTES << 20, kind
