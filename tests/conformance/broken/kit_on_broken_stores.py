"""The kit on every broken store, one class for each; run by test_broken_stores.py in a process of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings

from conveyor.testing.conformance import StoreConformance
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import Workshop
from tests.conformance.broken.bench import open_broken
from tests.conformance.broken.faults import ASKED, WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.testing.clocks import ManualClock
    from conveyor.testing.conformance.kit import OpenWorkshop
    from tests.conformance.broken.bench import Fault


class BrokenStoreKit(StoreKit):
    """The kit on a store with the fault, on asyncio alone: a fault is one of the store."""

    fault: ClassVar[Fault]

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def open_workshop(self, clock: ManualClock) -> OpenWorkshop:
        @asynccontextmanager
        async def open_once() -> AsyncIterator[Workshop]:
            store = open_broken(self.fault, clock)
            yield Workshop(store, clock)
            store.notifier.close()

        return open_once

    @pytest.fixture
    def machine_settings(self) -> settings:
        """The settings of the kit, without the search for the shortest example."""
        return settings(
            max_examples=120,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )


class TestWhole(BrokenStoreKit, StoreConformance):
    """The whole kit, on the store that the others are broken from."""

    fault = WHOLE


# A broken store meets the chapters that it is asked for alone: pytest would spend its time gathering the others.
for _fault, _tests in ASKED.items():
    _chapters = [chapter for chapter in StoreConformance.__bases__ if not vars(chapter).keys().isdisjoint(_tests)]
    globals()[f"Test{_fault.__name__}"] = type(
        f"Test{_fault.__name__}", (BrokenStoreKit, *_chapters), {"fault": _fault}
    )
