"""Steps of batch jobs in transactions: the rows of a step and the step take effect together, once, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from conveyor.errors import BatchJobNotFoundError, BatchRunLostError
from conveyor.model.batches.changing import stepped
from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.model.batches.values import RowError
from conveyor.model.states import JobState
from conveyor.testing.conformance.batch_bench import BATCH, OTHER_RUN, RUN, bench_of
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import lock_of

if TYPE_CHECKING:
    from conveyor.model.locks import Lock
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BatchTransactionsConformance"]

BAD: Final = RowError(3, "bad", "too bad")


class BatchTransactionsConformance(StoreKit):
    """What makes it exactly once per row."""

    @pytest.fixture
    async def shelf(self, workshop: Workshop) -> Books:
        """A table of the user's own, beside batch jobs."""
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        needs(workshop.store.capabilities.has_batches, "has_batches")
        return await Books.opened(workshop)

    @pytest.fixture
    async def lock(self, workshop: Workshop, shelf: Books) -> Lock:
        """The lock of the job that works for a batch job, which is processed; other jobs of it are gone."""
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.CONFIRMED)
        job_id = (await bench.get()).job_id
        jobs = {job.id: job for job in await (await workshop.hand()).fetch()}
        await bench.ask(BatchCommand.START)
        assert await shelf.titles() == []
        return lock_of(jobs[str(job_id)])

    async def test_a_step_is_committed_with_what_was_written_and_the_run_goes_on(
        self, workshop: Workshop, shelf: Books, lock: Lock
    ) -> None:
        bench = bench_of(workshop)
        before = await bench.get()
        for number, title in ((1, "Emma"), (2, "Persuasion")):
            async with shelf.begun(lock) as transaction:
                await shelf.write(transaction.connection, title)
                step = bench.step(number, errors=(BAD,))
                assert await transaction.commit_step(BATCH, RUN, step) is BatchStatus.PROCESSING
            before = stepped(before, RUN, step, workshop.clock.now())
            assert await bench.get() == before
        assert await shelf.titles() == ["Emma", "Persuasion"]
        assert list(await bench.facet.get_errors(BATCH)) == [BAD]
        assert await workshop.state(lock.job_id) is JobState.ACTIVE

    async def test_a_step_is_told_to_stop_by_its_commit(self, workshop: Workshop, shelf: Books, lock: Lock) -> None:
        bench = bench_of(workshop)
        await bench.ask(BatchCommand.PAUSE)
        async with shelf.begun(lock) as transaction:
            await shelf.write(transaction.connection, "Emma")
            assert await transaction.commit_step(BATCH, RUN, bench.step()) is BatchStatus.PAUSING
        assert (await shelf.titles(), (await bench.get()).steps) == (["Emma"], 1)

    async def test_a_zombie_commits_neither_its_step_nor_its_rows(
        self, workshop: Workshop, shelf: Books, lock: Lock
    ) -> None:
        bench = bench_of(workshop)
        before = await bench.ask(BatchCommand.START, run=OTHER_RUN)
        async with shelf.begun(lock) as transaction:
            await shelf.write(transaction.connection, "Emma")
            with pytest.raises(BatchRunLostError):
                await transaction.commit_step(BATCH, RUN, bench.step(errors=(BAD,)))
        assert (await shelf.titles(), await bench.get()) == ([], before)
        assert list(await bench.facet.get_errors(BATCH)) == []

    async def test_a_run_that_ended_commits_nothing(self, workshop: Workshop, shelf: Books, lock: Lock) -> None:
        bench = bench_of(workshop)
        before = await bench.ask(BatchCommand.INTERRUPT, run=RUN)
        async with shelf.begun(lock) as transaction:
            await shelf.write(transaction.connection, "Emma")
            with pytest.raises(BatchRunLostError):
                await transaction.commit_step(BATCH, RUN, bench.step())
        async with shelf.begun(lock) as transaction:
            await shelf.write(transaction.connection, "Persuasion")
            with pytest.raises(BatchJobNotFoundError):
                await transaction.commit_step("another", RUN, bench.step())
        assert (await shelf.titles(), await bench.get()) == ([], before)

    async def test_a_step_that_was_committed_is_not_committed_again(
        self, workshop: Workshop, shelf: Books, lock: Lock
    ) -> None:
        bench = bench_of(workshop)
        for _ in range(2):  # as after a lost answer
            async with shelf.begun(lock) as transaction:
                await shelf.write(transaction.connection, "Emma")
                status = await transaction.commit_step(BATCH, RUN, bench.step())
                assert status is BatchStatus.PROCESSING
        assert (await shelf.titles(), (await bench.get()).steps) == (["Emma"], 1)

    async def test_a_dry_run_keeps_its_steps_and_nothing_else(
        self, workshop: Workshop, shelf: Books, lock: Lock
    ) -> None:
        bench = bench_of(workshop)
        async with shelf.begun(lock) as transaction:
            await shelf.write(transaction.connection, "Emma")
            await transaction.roll_back()
        await bench.save(bench.step(errors=(BAD,)))
        assert (await shelf.titles(), (await bench.get()).done) == ([], 10)
