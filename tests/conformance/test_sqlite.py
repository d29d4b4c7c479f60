"""The conformance kit on the SQLite store."""

from __future__ import annotations

import pytest

from conveyor.testing.conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    """Every promise, kept in a file."""

    @pytest.fixture
    def store_url(self, sqlite_url: str, request: pytest.FixtureRequest) -> str:
        """A new file for each test."""
        # Thousands of commits, each of which waits for the disk otherwise: for seconds where others write much.
        is_many = request.node.originalname.startswith("test_random_commands")
        return f"{sqlite_url}?synchronous=normal" if is_many else sqlite_url
