"""Bulk changes: cancelling, promoting, rerunning and removing what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.bulk import ChangeOutcome, ChangeReceipt
from conveyor.model.events import NotificationKind
from conveyor.model.queries import JobFilter
from conveyor.model.states import OPERATOR_COMMANDS, TRANSITIONS, Command, JobState
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.notifications import heard
from conveyor.testing.conformance.workshop import QUEUE, Workshop, lock_of

if TYPE_CHECKING:
    from conveyor.contracts.store import InspectionStore

__all__ = ["BulkChangesConformance"]

ALL: Final = JobFilter()
REACHED: Final = frozenset(JobState) - {JobState.WAITING_CHILDREN}


async def one_of_each_state(workshop: Workshop) -> dict[JobState, str]:
    """Add a job in each state that a job alone can be in; return their ids, which are the states."""
    for command, state in ((Command.COMPLETE, JobState.COMPLETED), (Command.FAIL, JobState.FAILED)):
        await workshop.finished(state.value, command)
    await workshop.add("cancelled")
    await workshop.jobs.cancel_job("cancelled", "")
    await workshop.fetched("active")
    await workshop.add("delayed", delay=10)
    await workshop.add("waiting")
    return {state: state.value for state in JobState if state in REACHED}


class BulkChangesConformance(StoreKit):
    """Changing many jobs in one step, without an exception for any of them."""

    @pytest.fixture
    def inspection(self, workshop: Workshop) -> InspectionStore:
        """The facet, where the store has it."""
        needs(workshop.store.capabilities.has_inspection, "has_inspection")
        assert workshop.store.inspection is not None
        return workshop.store.inspection

    @pytest.mark.parametrize("command", sorted(OPERATOR_COMMANDS))
    async def test_a_bulk_change_does_what_the_table_says_and_skips_the_rest(
        self, workshop: Workshop, inspection: InspectionStore, command: Command
    ) -> None:
        jobs = await one_of_each_state(workshop)
        receipts = await inspection.change_jobs(command, list(jobs.values()), ALL)
        expected = []
        for state, job_id in jobs.items():
            is_legal = (state, command) in TRANSITIONS
            after = TRANSITIONS[state, command] if is_legal else state
            outcome = ChangeOutcome.DONE if is_legal else ChangeOutcome.REFUSED
            expected.append(ChangeReceipt(job_id, outcome, after))
        assert list(receipts) == expected
        assert [await workshop.state(receipt.job_id) for receipt in receipts] == [receipt.state for receipt in receipts]

    async def test_a_bulk_change_skips_what_is_gone_or_matches_no_more(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        await workshop.fetched("moved")
        await workshop.add("a", "b")
        wanted = JobFilter(states=(JobState.WAITING,))
        receipts = await inspection.change_jobs(Command.CANCEL, ["a", "moved", "gone", "b"], wanted)
        assert list(receipts) == [
            ChangeReceipt("a", ChangeOutcome.DONE, JobState.CANCELLED),
            ChangeReceipt("moved", ChangeOutcome.NO_MATCH, JobState.ACTIVE),
            ChangeReceipt("gone", ChangeOutcome.NOT_FOUND),
            ChangeReceipt("b", ChangeOutcome.DONE, JobState.CANCELLED),
        ]
        assert await workshop.state("moved") is JobState.ACTIVE

    async def test_the_same_bulk_change_again_finds_what_it_did(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        await workshop.add("a")
        await inspection.change_jobs(Command.CANCEL, ["a"], ALL)
        before = await workshop.job("a")
        receipts = await inspection.change_jobs(Command.CANCEL, ["a", "a"], ALL)
        assert list(receipts) == [ChangeReceipt("a", ChangeOutcome.REFUSED, JobState.CANCELLED)] * 2
        assert await workshop.job("a") == before

    async def test_a_bulk_cancel_keeps_its_reason_and_takes_locks_away(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        job = await workshop.fetched("a")
        await inspection.change_jobs(Command.CANCEL, ["a"], ALL, reason="no more")
        error = (await workshop.job("a")).error
        assert error is not None
        assert (error.type, error.message) == ("Cancelled", "no more")
        assert [lock.job_id for lock in await workshop.jobs.release_locks([lock_of(job)])] == ["a"]

    async def test_a_bulk_rerun_is_heard(self, workshop: Workshop, inspection: InspectionStore) -> None:
        needs(workshop.store.capabilities.has_notifications, "has_notifications")
        assert workshop.store.notifier is not None
        await workshop.finished("a")
        async with workshop.store.notifier.subscribe(QUEUE) as hints:
            await inspection.change_jobs(Command.RERUN, ["a"], ALL)
            await heard(hints, NotificationKind.ADDED)
        assert await workshop.fetch_order() == ["a"]

    async def test_only_operators_commands_change_many_jobs(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        await workshop.fetched("a")
        with pytest.raises(ConfigurationError, match="known: cancel, promote, remove, rerun"):
            await inspection.change_jobs(Command.COMPLETE, ["a"], ALL)
        assert await workshop.state("a") is JobState.ACTIVE
