"""The kit on every broken strategy, one class for each; run by test_broken_strategies.py in a process of its own."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from conveyor._builtin.store_queue import StoreJobQueue
from conveyor.testing.clocks import jumping_backends
from conveyor.testing.job_queues import JobQueueConformance
from conveyor.testing.job_queues.kit import JobQueueKit
from tests.job_queues.broken.faults import DELIVERED, KEPT
from tests.post_office import Office, PostQueue

if TYPE_CHECKING:
    from conveyor.testing.job_queues import MakeStrategy


class BrokenKit(JobQueueKit):
    """The kit on a strategy with the fault, on asyncio alone: a fault is one of the strategy."""

    fault: ClassVar[type[StoreJobQueue]]
    patience_seconds = 5

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return self.fault


class BrokenPostKit(JobQueueKit):
    """The kit on a strategy that delivers with the fault, on a clock that jumps."""

    post_fault: ClassVar[type[PostQueue]]
    patience_seconds = 1000

    @pytest.fixture(params=jumping_backends()[:1], ids=lambda backend: backend[0])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return partial(self.post_fault, Office(timedelta(seconds=5)))


class TestWhole(BrokenKit, JobQueueConformance):
    """The whole kit, on the strategy that the others are broken from."""

    fault = StoreJobQueue


class TestWholePost(BrokenPostKit, JobQueueConformance):
    """The whole kit, on the delivering strategy that the others are broken from."""

    post_fault = PostQueue


for _fault in KEPT:
    _name = f"Test{_fault.__name__}"
    globals()[_name] = type(_name, (BrokenKit, JobQueueConformance), {"fault": _fault})

for _post_fault in DELIVERED:
    _name = f"Test{_post_fault.__name__}"
    globals()[_name] = type(_name, (BrokenPostKit, JobQueueConformance), {"post_fault": _post_fault})
