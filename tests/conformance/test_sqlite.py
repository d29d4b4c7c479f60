"""The conformance kit on the SQLite store."""

from __future__ import annotations

import pytest

from conveyor.testing.conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    """Every promise, kept in a file."""

    @pytest.fixture
    def store_url(self, sqlite_url: str) -> str:
        """A new file for each test."""
        return sqlite_url
