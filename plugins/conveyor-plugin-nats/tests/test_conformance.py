"""The conformance kit on the NATS job queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from conveyor_plugin_nats.queue import NatsJobQueue

from conveyor.testing.job_queues import JobQueueConformance

if TYPE_CHECKING:
    from conveyor.testing.job_queues import MakeStrategy


class TestNats(JobQueueConformance):
    """Every promise of a job queue strategy, kept in a stream."""

    @pytest.fixture
    def make_strategy(self, url: str) -> MakeStrategy:
        """Share one stream, whose locks are short: what is lost comes soon."""
        return partial(NatsJobQueue, f"{url}&lock_duration=2s")
