"""A worker process that is killed while parts of one batch job run in it: another does exactly the rows that remain."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import RowOutcome
from tests.end_to_end.dividing import PARTS, WORKERS, app_in
from tests.end_to_end.importing import BATCH_ID, is_bad
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conveyor.model.batches.values import BatchJobData

ROWS: Final = 400
# Every other is divided by keys. With CONVEYOR_FULL=1 there are more.
SEEDS: Final = range(30 if os.environ.get("CONVEYOR_FULL") == "1" else 1)
# Fewer lines than one worker prints of its parts.
LINES: Final = 25


async def rows() -> AsyncIterator[bytes]:
    yield b"number\n"
    for number in range(1, ROWS + 1):
        yield f"{-number if is_bad(number) else number}\n".encode()


async def create(url: str, folder: Path, kind: str) -> None:
    """Create the batch job, which nobody works for yet."""
    async with app_in(url, folder) as app:
        params = {"rows": ROWS} if kind == "by_key" else {"file": (await app.files.write("rows.csv", rows())).key}
        await app.batches.create(kind, params, id=BATCH_ID)


async def look(url: str, folder: Path) -> BatchJobData:
    """Return what became of the batch job."""
    async with app_in(url, folder) as app:
        return (await app.batches.get(BATCH_ID)).data


def start(url: str, folder: Path, seed: int, worker: int) -> subprocess.Popen[str]:
    backend = ("asyncio", "trio")[(seed // 2 + worker) % 2]
    command = [sys.executable, "-m", "tests.end_to_end.dividing", url, backend, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_parts_of_a_killed_worker_are_ended_by_the_other(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "import.db"
    url, kind = f"sqlite:///{path}", ("by_bytes", "by_key")[seed % 2]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE products (number INTEGER PRIMARY KEY CHECK (number > 0))")
    anyio.run(create, url, tmp_path, kind)
    kill_at = random.Random(seed).randrange(1, LINES)
    with start(url, tmp_path, seed, 0) as victim, start(url, tmp_path, seed, 1) as survivor:
        assert victim.stdout is not None
        assert [victim.stdout.readline().strip() for _ in range(kill_at)][-1] in {"chunk", "write", "written"}
        victim.kill()
        assert survivor.communicate(timeout=60)[0].split()[-1] == "completed_with_errors"
    assert survivor.returncode == 0
    assert len([*(tmp_path / "meeting").iterdir()]) == WORKERS
    with closing(sqlite3.connect(path)) as database:
        written = [number for (number,) in database.execute("SELECT number FROM products ORDER BY number")]
        rows = database.execute("SELECT row_number FROM conveyor_batch_errors ORDER BY row_number")
        bad = [number for (number,) in rows]
    assert written == [number for number in range(1, ROWS + 1) if not is_bad(number)]
    assert bad == [number for number in range(1, ROWS + 1) if is_bad(number)]
    batch = anyio.run(look, url, tmp_path)
    assert (batch.status, batch.parts, batch.parts_done) == (BatchStatus.COMPLETED_WITH_ERRORS, PARTS, PARTS)
    assert (batch.done, batch.counts) == (ROWS, {RowOutcome.DONE: len(written), RowOutcome.FAILED: len(bad)})
