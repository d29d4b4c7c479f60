"""The conformance kit on the memory store."""

from __future__ import annotations

from conveyor.testing.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    """Every promise, kept in memory."""

    url = "memory://"
