"""The conformance kit on the SQLite store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from pathlib import Path


class TestSqliteStore(StoreConformance):
    """Every promise, kept in a file."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """A new file for each test."""
        return f"sqlite:///{tmp_path}/jobs.db"
