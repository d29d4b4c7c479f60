"""The conformance kit: what every store must pass. Subclass `StoreConformance` and give it a URL.

    class TestMemoryStore(StoreConformance):
        url = "memory://"

It needs the extra ``conveyor[testing]``. Each test wants an empty store: where a URL does not give one, override
the fixture ``store_url``. Skips come from ``store.capabilities`` alone.
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

# Before the themes are imported, or their failures would show no values; this package itself is too late for it.
for _theme in iter_modules(__path__, f"{__name__}."):
    pytest.register_assert_rewrite(_theme.name)

from conveyor.testing.conformance.adding import AddingConformance  # noqa: E402
from conveyor.testing.conformance.batch_changes import BatchChangesConformance  # noqa: E402
from conveyor.testing.conformance.batch_parts import BatchPartsConformance  # noqa: E402
from conveyor.testing.conformance.batch_steps import BatchStepsConformance  # noqa: E402
from conveyor.testing.conformance.batch_transactions import BatchTransactionsConformance  # noqa: E402
from conveyor.testing.conformance.batches import BatchesConformance  # noqa: E402
from conveyor.testing.conformance.buffer_ends import BufferEndsConformance  # noqa: E402
from conveyor.testing.conformance.buffers import BuffersConformance  # noqa: E402
from conveyor.testing.conformance.bulk_changes import BulkChangesConformance  # noqa: E402
from conveyor.testing.conformance.concurrency import ConcurrencyConformance  # noqa: E402
from conveyor.testing.conformance.deduplication import DeduplicationConformance  # noqa: E402
from conveyor.testing.conformance.deduplication_freed import FreedKeysConformance  # noqa: E402
from conveyor.testing.conformance.deduplication_races import DeduplicationRacesConformance  # noqa: E402
from conveyor.testing.conformance.delays import DelaysConformance  # noqa: E402
from conveyor.testing.conformance.durability import DurabilityConformance, SharingConformance  # noqa: E402
from conveyor.testing.conformance.editing import EditingConformance  # noqa: E402
from conveyor.testing.conformance.error_groups import ErrorGroupsConformance  # noqa: E402
from conveyor.testing.conformance.events import EventsConformance  # noqa: E402
from conveyor.testing.conformance.expiry import ExpiryConformance  # noqa: E402
from conveyor.testing.conformance.faults_run import FaultsConformance  # noqa: E402
from conveyor.testing.conformance.faults_transactions import TransactionFaultsConformance  # noqa: E402
from conveyor.testing.conformance.fetching import FetchingConformance  # noqa: E402
from conveyor.testing.conformance.flow_children import FlowChildrenConformance  # noqa: E402
from conveyor.testing.conformance.flow_ends import FlowEndsConformance  # noqa: E402
from conveyor.testing.conformance.flows import FlowsConformance  # noqa: E402
from conveyor.testing.conformance.groups import GroupsConformance  # noqa: E402
from conveyor.testing.conformance.history import HistoryConformance  # noqa: E402
from conveyor.testing.conformance.inspection import InspectionConformance  # noqa: E402
from conveyor.testing.conformance.limits import LimitsConformance  # noqa: E402
from conveyor.testing.conformance.locks import LocksConformance  # noqa: E402
from conveyor.testing.conformance.machine import MachineConformance  # noqa: E402
from conveyor.testing.conformance.metrics import MetricsConformance  # noqa: E402
from conveyor.testing.conformance.notifications import NotificationsConformance  # noqa: E402
from conveyor.testing.conformance.ordering import OrderingConformance  # noqa: E402
from conveyor.testing.conformance.queues import PausingConformance, QueuesConformance  # noqa: E402
from conveyor.testing.conformance.rates import RatesConformance  # noqa: E402
from conveyor.testing.conformance.repetition import RepetitionConformance  # noqa: E402
from conveyor.testing.conformance.retention import RetentionConformance  # noqa: E402
from conveyor.testing.conformance.rivalry import RivalryConformance  # noqa: E402
from conveyor.testing.conformance.roundtrips import RoundtripsConformance  # noqa: E402
from conveyor.testing.conformance.schedules import SchedulesConformance  # noqa: E402
from conveyor.testing.conformance.schema import SchemaConformance  # noqa: E402
from conveyor.testing.conformance.sessions import SessionsConformance  # noqa: E402
from conveyor.testing.conformance.settling import SettlingConformance  # noqa: E402
from conveyor.testing.conformance.stalls import StallsConformance  # noqa: E402
from conveyor.testing.conformance.suspects import SuspectsConformance  # noqa: E402
from conveyor.testing.conformance.transactions import TransactionsConformance  # noqa: E402
from conveyor.testing.conformance.transitions import TransitionsConformance  # noqa: E402

__all__ = ["StoreConformance"]


class StoreConformance(
    AddingConformance,
    FetchingConformance,
    OrderingConformance,
    LocksConformance,
    SettlingConformance,
    TransitionsConformance,
    TransactionsConformance,
    DelaysConformance,
    DeduplicationConformance,
    DeduplicationRacesConformance,
    FreedKeysConformance,
    EditingConformance,
    ExpiryConformance,
    RetentionConformance,
    StallsConformance,
    FlowsConformance,
    FlowEndsConformance,
    FlowChildrenConformance,
    SuspectsConformance,
    LimitsConformance,
    RatesConformance,
    GroupsConformance,
    SessionsConformance,
    PausingConformance,
    QueuesConformance,
    HistoryConformance,
    RoundtripsConformance,
    NotificationsConformance,
    EventsConformance,
    InspectionConformance,
    MetricsConformance,
    BulkChangesConformance,
    ErrorGroupsConformance,
    SchemaConformance,
    DurabilityConformance,
    SharingConformance,
    ConcurrencyConformance,
    RepetitionConformance,
    RivalryConformance,
    MachineConformance,
    FaultsConformance,
    TransactionFaultsConformance,
    SchedulesConformance,
    BuffersConformance,
    BufferEndsConformance,
    BatchesConformance,
    BatchChangesConformance,
    BatchPartsConformance,
    BatchStepsConformance,
    BatchTransactionsConformance,
):
    """Everything a store promises, by theme. Subclass it with a name that begins with ``Test``."""
