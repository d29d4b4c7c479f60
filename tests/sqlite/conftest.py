"""A SQLite store in a new file for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor._builtin.sqlite.store import SQLiteStore
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the store of the test is."""
    return tmp_path / "jobs.db"


@pytest.fixture
async def store(file: Path, anyio_backend: str) -> AsyncIterator[SQLiteStore]:
    """An open store, whose clock stands still."""
    async with open_store(f"sqlite:///{file}?busy_timeout=50ms", clock=ManualClock()) as opened:
        assert isinstance(opened, SQLiteStore)
        yield opened
