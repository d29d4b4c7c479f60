"""The conformance kit on the PostgreSQL store."""

from __future__ import annotations

import pytest

from conveyor.testing.conformance import StoreConformance


class TestPostgresStore(StoreConformance):
    """Every promise, kept in a database."""

    @pytest.fixture
    def store_url(self, empty_url: str) -> str:
        """An empty schema, whose time is that of the test."""
        return f"{empty_url}?clock=app"
