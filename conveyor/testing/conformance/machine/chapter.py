"""The chapter of the kit that runs the state machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from conveyor.model.limits import NO_LIMITS
from conveyor.model.queries import Want
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.machine.collecting import BufferRules
from conveyor.testing.conformance.machine.draws import QUEUES, Description, FlowShape, descriptions, flow_shapes
from conveyor.testing.conformance.machine.governing import GoverningRules
from conveyor.testing.conformance.machine.growing import FlowRules
from conveyor.testing.conformance.machine.importing import BatchRules
from conveyor.testing.conformance.machine.operating import OperatingRules
from conveyor.testing.conformance.machine.running import RunningRules
from conveyor.testing.conformance.machine.transacting import TransactingRules

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from conveyor.testing.conformance.kit import OpenWorkshop
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["MachineConformance", "StoreMachine"]

# How many examples of the state machine to run, freshly drawn, instead of the same few each time.
EXAMPLES: Final = "CONVEYOR_MACHINE_EXAMPLES"


class StoreMachine(RunningRules, OperatingRules, TransactingRules, FlowRules):
    """Sends each command to both and compares the answers; after each step it compares what can be seen."""

    @initialize(described=st.lists(descriptions, min_size=3, max_size=8), shape=st.none() | flow_shapes)
    def begin(self, described: list[Description], shape: FlowShape | None) -> None:
        """Begin with jobs of which some run already: most of what can go wrong has to do with runs."""
        if shape is not None and self.has_flows:
            self.save_flow(shape)
        self.save(described)
        self.fetch(0, [Want(queue, 2) for queue in QUEUES])

    @rule(described=st.lists(descriptions, min_size=1, max_size=3))
    def add(self, described: list[Description]) -> None:
        self.save(described)

    @invariant()
    def look(self) -> None:
        self.ask(self.comparison.look())

    def teardown(self) -> None:
        """Compare the histories, what was written in transactions, and the order of all that waits."""
        self.ask(self.comparison.look_at_histories())
        if self.books is not None:
            assert self.ask(self.books.titles()) == self.reference.written
        for queue in QUEUES:
            self.resume(queue)
        self.fetch(0, [Want(queue, 100, is_suspect=is_suspect) for queue in QUEUES for is_suspect in (True, False)])


class GovernedMachine(StoreMachine, GoverningRules):
    """The same with limits, schedules and retention."""

    def teardown(self) -> None:
        """Compare once nothing holds up what waits."""
        for queue in QUEUES:
            self.set_limits(queue, NO_LIMITS)
        super().teardown()


class CollectingMachine(BufferRules, StoreMachine):
    """The same with buffers."""


class ImportingMachine(BatchRules, StoreMachine):
    """The same with batch jobs."""


class MachineConformance(StoreKit):
    """Forty short lives of a store, or fewer; ``CONVEYOR_MACHINE_EXAMPLES=5000`` gives as many, drawn anew.

    On trio there are ten: they are drawn from the same seed, and which loop runs matters to how a store waits, not to
    what it remembers. With ``CONVEYOR_FULL=1`` there are as many on both.
    """

    @pytest.fixture
    def machine_settings(self, anyio_backend_name: str) -> settings:
        """How many lives of how many steps: few that are always the same, or as many as the environment says."""
        asked = os.environ.get(EXAMPLES)
        is_short = anyio_backend_name == "trio" and os.environ.get("CONVEYOR_FULL") != "1"
        return settings(
            max_examples=int(asked or (10 if is_short else 40)),
            stateful_step_count=30,
            derandomize=asked is None,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        )

    @pytest.fixture
    def short_settings(self, machine_settings: settings) -> settings:
        """A quarter of the lives, or five; as many, if the environment says so: what else happens is in the others."""
        if EXAMPLES in os.environ:
            return machine_settings
        return settings(machine_settings, max_examples=max(5, machine_settings.max_examples // 4))

    def test_random_commands_answer_as_the_reference_does(
        self,
        open_workshop: OpenWorkshop,
        machine_settings: settings,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
    ) -> None:
        with (
            start_blocking_portal(anyio_backend_name, anyio_backend_options) as portal,
            portal.wrap_async_context_manager(open_workshop()) as workshop,
        ):
            run_lives(StoreMachine, portal, workshop, machine_settings)

    def test_random_commands_to_governed_queues_answer_as_the_reference_does(
        self,
        open_workshop: OpenWorkshop,
        machine_settings: settings,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
    ) -> None:
        with (
            start_blocking_portal(anyio_backend_name, anyio_backend_options) as portal,
            portal.wrap_async_context_manager(open_workshop()) as workshop,
        ):
            run_lives(GovernedMachine, portal, workshop, machine_settings)

    def test_random_commands_to_buffers_answer_as_the_reference_does(
        self,
        open_workshop: OpenWorkshop,
        short_settings: settings,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
    ) -> None:
        with (
            start_blocking_portal(anyio_backend_name, anyio_backend_options) as portal,
            portal.wrap_async_context_manager(open_workshop()) as workshop,
        ):
            run_lives(CollectingMachine, portal, workshop, short_settings)

    def test_random_commands_to_batch_jobs_answer_as_the_reference_does(
        self,
        open_workshop: OpenWorkshop,
        short_settings: settings,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
    ) -> None:
        with (
            start_blocking_portal(anyio_backend_name, anyio_backend_options) as portal,
            portal.wrap_async_context_manager(open_workshop()) as workshop,
        ):
            run_lives(ImportingMachine, portal, workshop, short_settings)


def run_lives(kind: type[StoreMachine], portal: BlockingPortal, workshop: Workshop, lives: settings) -> None:
    """Run a machine of this kind as often as the settings say, where it can with a table for what runs write."""
    books = portal.call(Books.opened, workshop) if workshop.store.capabilities.has_transactions else None

    # mypy knows no base class that is given.
    class Machine(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(portal, workshop)
            self.books = books
            if books is not None:
                self.ask(books.clear())

    run_state_machine_as_test(Machine, settings=lives)
