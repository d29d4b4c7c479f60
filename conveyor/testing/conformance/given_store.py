"""The kit on the store of a URL: what ``python -m conveyor.testing.conformance URL`` collects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance import StoreConformance
from conveyor.testing.conformance.emptying import empty
from conveyor.testing.conformance.report import URL_OPTION
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["TestGivenStore"]

# A test may leave a buffer taken until a time of its own clock.
WHEN_ALL_IS_OVER: Final = datetime(9000, 1, 1, tzinfo=UTC)


class TestGivenStore(StoreConformance):
    """Everything a store promises, for the store of ``--conformance-url``, emptied before each test."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """Both backends, whatever a project's own settings say."""
        backend: str = request.param
        return backend

    @pytest.fixture
    async def store_url(self, request: pytest.FixtureRequest) -> AsyncIterator[str]:
        """The URL that was given; whatever a test left is removed after it."""
        url = str(request.config.getoption(URL_OPTION))
        yield url
        async with open_store(url, clock=ManualClock(WHEN_ALL_IS_OVER)) as store:
            await empty(store)
