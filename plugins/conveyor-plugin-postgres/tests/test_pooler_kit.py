"""The whole conformance kit behind PgBouncer, with CONVEYOR_FULL=1; test_pooler has what is likeliest to break."""

from __future__ import annotations

import os

import pytest

from conveyor.testing.conformance import StoreConformance


@pytest.mark.skipif(not os.environ.get("CONVEYOR_FULL"), reason="takes long: CONVEYOR_FULL=1 runs it")
@pytest.mark.timeout(900)  # an operation takes four round trips
class TestKitBehindAPooler(StoreConformance):
    """Every promise, kept where each transaction meets another connection of the server."""

    @pytest.fixture
    def store_url(self, listening_url: str) -> str:
        """An empty schema, whose time is that of the test."""
        return f"{listening_url}&clock=app"
