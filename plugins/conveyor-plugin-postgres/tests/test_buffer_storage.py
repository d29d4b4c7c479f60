"""The kit of buffer storages on the one that is the PostgreSQL store."""

from __future__ import annotations

import os

import pytest

from conveyor.testing.conformance.buffer_storage import BufferStorageConformance


class TestPostgresStore(BufferStorageConformance):
    """In the app's store, in a database."""

    @pytest.fixture
    def store_url(self, empty_url: str) -> str:
        """An empty schema, whose time is that of the test."""
        return f"{empty_url}?clock=app"

    @pytest.fixture
    def is_shared(self) -> bool:
        """Whether processes are started, which takes seconds; CI does so with SQLite and with the kit of stores."""
        return os.environ.get("CONVEYOR_FULL") == "1"
