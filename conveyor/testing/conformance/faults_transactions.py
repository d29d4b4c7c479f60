"""Runs that write in transactions over a store that fails: each ends in one truth, whichever answer was lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor import Conveyor, JobContext, fixed
from conveyor.model.job import AttemptOutcome
from conveyor.model.states import JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.kit import StoreKit, needs, store_plugins
from conveyor.testing.conformance.workshop import Workshop
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore, at_random
from conveyor.testing.stores import open_store_among

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor import Job
    from conveyor.contracts.store import Store
    from conveyor.testing.faults import FaultPlan, StoreCall

__all__ = ["TransactionFaultsConformance"]

LONGEST_SECONDS: Final = 30
JOBS: Final = 3
# More than the faults that any test plans for one job.
ATTEMPTS: Final = 4
VERBS: Final = ("begin", "execute", "save_jobs_in", "commit")
SPOILED: Final = (FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER, FaultKind.DELAY)
COMPLETED, RETRIED = AttemptOutcome.COMPLETED, AttemptOutcome.RETRIED


class Till:
    """Jobs that each write a title and add another job, in their run's transaction."""

    def __init__(self, store: Store, books: Books) -> None:
        self.app: Conveyor = Conveyor(store)
        self.runs: Counter[str] = Counter()
        self.is_out_of_stock: bool = False
        packing = self.app.queue("packing")

        @self.app.queue("till").job(attempts=ATTEMPTS, backoff=fixed("1ms"))
        async def sell(context: JobContext) -> None:
            title = context.job.id
            self.runs[title] += 1
            async with context.transaction() as connection:
                await books.write(connection, title)
                await packing.add("pack", job_id=f"pack-{title}", connection=connection)
                if self.is_out_of_stock and context.attempt == 1:
                    raise ValueError(title)

        self.sell = sell

    async def run(self) -> list[Job[None]]:
        """Run some jobs to their ends, and return them."""
        async with self.app:
            jobs = await self.sell.add_many([self.sell.new() for _ in range(JOBS)])
            async with self.app.worker("till", concurrency=1, poll_interval="50ms"):
                with anyio.fail_after(LONGEST_SECONDS):
                    for job in jobs:
                        await job.wait_until_finished(timeout=LONGEST_SECONDS)
            return list(jobs)


class TransactionFaultsConformance(StoreKit):
    """What a handler wrote is there once if its job completed, and not at all otherwise."""

    @pytest.fixture
    async def whole(self, store_url: str) -> AsyncIterator[Store]:
        """The store under test on the system's clock, for workers wait in real time."""
        async with open_store_among(store_plugins(), store_url) as store:
            needs(store.capabilities.has_transactions, "has_transactions")
            yield store

    @pytest.fixture
    async def books(self, whole: Store) -> Books:
        """The table that handlers write in."""
        return await Books.opened(Workshop(whole, ManualClock()))

    async def check(self, whole: Store, books: Books, till: Till, jobs: list[Job[None]]) -> dict[str, list[str]]:
        """Assert that each job has one end and what goes with it; return the outcomes of its runs by id."""
        found = await whole.jobs.find_jobs([job.id for job in jobs])
        completed = sorted(id for id, job in found.items() if job.state is JobState.COMPLETED)
        assert await books.titles() == completed
        packed = await whole.queues.list_jobs("packing", JobState.WAITING)
        assert sorted(job.id for job in packed) == [f"pack-{id}" for id in completed]
        outcomes = {job.id: [one.outcome.value for one in await whole.jobs.get_attempts(job.id)] for job in jobs}
        for id, ends in outcomes.items():
            assert found[id].state.is_settled
            assert (ends[-1], ends.count(COMPLETED)) == (found[id].state.value, int(id in completed))
            assert len(ends) == till.runs[id]
        return outcomes

    @pytest.mark.parametrize("kind", SPOILED)
    @pytest.mark.parametrize("count", [1, 2])
    @pytest.mark.parametrize("verb", VERBS)
    async def test_every_job_completes_with_what_it_wrote_whichever_call_fails(
        self, whole: Store, books: Books, verb: str, count: int, kind: FaultKind
    ) -> None:
        script = FaultScript()
        faulty = FaultyStore(whole, script)
        till = Till(faulty, books)
        script.spoil(verb, count, kind)
        outcomes = await self.check(whole, books, till, await till.run())
        assert {ends[-1] for ends in outcomes.values()} == {COMPLETED}
        assert faulty.calls[verb] >= JOBS

    async def test_a_commit_whose_answer_was_lost_is_the_end_of_its_run(self, whole: Store, books: Books) -> None:
        script = FaultScript()
        till = Till(FaultyStore(whole, script), books)
        script.spoil("commit", JOBS, FaultKind.LOSE_ANSWER)
        outcomes = await self.check(whole, books, till, await till.run())
        assert list(outcomes.values()) == [[COMPLETED]] * JOBS

    async def test_a_commit_that_never_arrived_is_a_failed_run(self, whole: Store, books: Books) -> None:
        script = FaultScript()
        till = Till(FaultyStore(whole, script), books)
        script.spoil("commit", 1)
        outcomes = await self.check(whole, books, till, await till.run())
        assert sorted(outcomes.values()) == [[COMPLETED], [COMPLETED], [RETRIED, COMPLETED]]

    @pytest.mark.parametrize("kind", SPOILED)
    async def test_a_rollback_that_fails_does_not_hide_why(self, whole: Store, books: Books, kind: FaultKind) -> None:
        script = FaultScript()
        till = Till(FaultyStore(whole, script), books)
        till.is_out_of_stock = True
        script.spoil("roll_back", JOBS, kind)
        jobs = await till.run()
        outcomes = await self.check(whole, books, till, jobs)
        assert list(outcomes.values()) == [[RETRIED, COMPLETED]] * JOBS
        for job in jobs:
            error = (await whole.jobs.get_attempts(job.id))[0].error
            assert error is not None
            assert error.type == "ValueError"

    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_every_job_ends_in_one_truth_though_every_third_call_fails(
        self, whole: Store, books: Books, seed: int
    ) -> None:
        till = Till(FaultyStore(whole, often(seed)), books)
        await self.check(whole, books, till, await till.run())


def often(seed: int) -> FaultPlan:
    """Return a plan that spoils a third of what is done in transactions."""
    draw = at_random(seed, rate=1 / 3, kinds=SPOILED)

    def plan(call: StoreCall, /) -> FaultKind | None:
        return draw(call) if call.verb in (*VERBS, "roll_back") else None

    return plan
