"""Every strategy in the box, and the one over a broker in memory, keeps the promises of job queue strategies."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conveyor._builtin.inline_queue import InlineJobQueue
from conveyor._builtin.store_queue import StoreJobQueue
from conveyor.testing.clocks import jumping_backends
from conveyor.testing.job_queues import JobQueueConformance
from tests.post_office import Office, PostQueue

if TYPE_CHECKING:
    from conveyor.testing.job_queues import MakeStrategy


class TestInline(JobQueueConformance):
    """In memory, while jobs are added."""

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        """Give each its own memory."""
        return InlineJobQueue


class TestMemory(JobQueueConformance):
    """Over the memory store."""

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        """Take the app's store, another each time."""
        return StoreJobQueue


class TestSqlite(JobQueueConformance):
    """Over one file."""

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        """Take the app's store."""
        return StoreJobQueue

    @pytest.fixture
    def store_url(self, sqlite_url: str) -> str:
        """Share one file."""
        return sqlite_url


class TestPost(JobQueueConformance):
    """Over a broker in memory."""

    patience_seconds = 1000

    @pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        """Both backends, with clocks that jump."""
        return request.param

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        """Share one office."""
        return partial(PostQueue, Office(timedelta(seconds=5)))
