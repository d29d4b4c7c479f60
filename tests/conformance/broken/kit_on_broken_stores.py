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
from tests.conformance.broken.faults import ASKED, ASKED_IN_TRANSACTIONS, WHOLE
from tests.conformance.broken.transactions import WholeTransactions, open_broken_transactions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from conveyor.testing.clocks import ManualClock
    from conveyor.testing.conformance.kit import OpenWorkshop
    from tests.conformance.broken.bench import Fault
    from tests.conformance.broken.transactions import TransactionFault


class BrokenStoreKit(StoreKit):
    """The kit on a store with the fault, on asyncio alone: a fault is one of the store."""

    fault: ClassVar[Fault]
    machine_examples: ClassVar[int] = 120

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
            max_examples=self.machine_examples,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )

    @pytest.fixture
    def short_settings(self, machine_settings: settings) -> settings:
        """Half of them, whichever a machine is given: a fault is to be found whatever is drawn."""
        return settings(machine_settings, max_examples=self.machine_examples // 2)


class BrokenTransactionsKit(BrokenStoreKit):
    """The kit on a store with a fault in its transactions, which memory has none of."""

    transaction_fault: ClassVar[TransactionFault]
    machine_examples = 15

    @pytest.fixture
    def open_workshop(self, clock: ManualClock, tmp_path: Path) -> OpenWorkshop:
        @asynccontextmanager
        async def open_once() -> AsyncIterator[Workshop]:
            async with open_broken_transactions(self.transaction_fault, tmp_path / "jobs.db", clock) as store:
                yield Workshop(store, clock)

        return open_once


class TestWhole(BrokenStoreKit, StoreConformance):
    """The whole kit, on the store that the others are broken from."""

    fault = WHOLE


class TestWholeTransactions(BrokenTransactionsKit, StoreConformance):
    """The whole kit, on the store whose transactions the others break."""

    transaction_fault = WholeTransactions


def chapters(tests: Sequence[str]) -> list[type]:
    """Return the chapters that these tests are in: pytest would spend its time gathering the others."""
    return [chapter for chapter in StoreConformance.__bases__ if not vars(chapter).keys().isdisjoint(tests)]


for _fault, _tests in ASKED.items():
    _name = f"Test{_fault.__name__}"
    globals()[_name] = type(_name, (BrokenStoreKit, *chapters(_tests)), {"fault": _fault})

for _transaction_fault, _tests in ASKED_IN_TRANSACTIONS.items():
    _name = f"Test{_transaction_fault.__name__}"
    _body = {"transaction_fault": _transaction_fault}
    globals()[_name] = type(_name, (BrokenTransactionsKit, *chapters(_tests)), _body)
