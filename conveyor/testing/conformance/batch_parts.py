"""Parts of batch jobs: each is worked on by the run that has it alone, and all of them make the batch job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import pytest
from attrs import evolve

from conveyor.errors import (
    BatchJobNotFoundError,
    BatchRunLostError,
    ConveyorInternalError,
    DuplicateJobError,
    InvalidBatchStatusError,
)
from conveyor.model.batches.parts import (
    PART_STATUSES,
    BatchPart,
    NewBatchPart,
    PartStart,
    PartStatus,
    divided,
    part_ended,
    part_stepped,
)
from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.model.batches.values import RowError, RowOutcome
from conveyor.model.states import JobState
from conveyor.testing.conformance.batch_bench import BATCH, OTHER_RUN, RUN
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.part_bench import FIRST, SECOND, WAYS, PartBench
from conveyor.testing.conformance.workshop import lock_of

if TYPE_CHECKING:
    from conveyor.model.batches.values import BatchJobData
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BatchPartsConformance"]

STATUSES: Final = sorted(WAYS)
CROWD: Final = 8


class BatchPartsConformance(StoreKit):
    """What a call makes of a batch job and its parts is the model's; that it is done once, or not, is the store's."""

    async def test_a_batch_job_is_divided_with_the_jobs_of_its_parts(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        before = await bench.batches.bring(BatchStatus.PROCESSING)
        workshop.clock.advance(5)
        parts = await bench.facet.divide_batch(BATCH, RUN, list(reversed(bench.new())))
        assert list(parts) == list(await bench.facet.get_parts(BATCH))
        expected = divided(before, bench.new(), workshop.clock.now())
        assert (await bench.batches.get(), tuple(parts)) == expected
        assert [(part.number, part.job_id, part.status) for part in parts] == [
            (1, before.job_id, PartStatus.WAITING),
            (2, "part-2", PartStatus.WAITING),
        ]
        assert await workshop.state("part-2") is JobState.WAITING
        assert list(await bench.facet.get_parts("another")) == []

    async def test_a_batch_job_is_divided_once(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        before = await bench.divide()
        await bench.start(1)
        other = [NewBatchPart(number, b"", bench.batches.job(f"other-{number}")) for number in (1, 2, 3)]
        parts = await bench.facet.divide_batch(BATCH, RUN, other)
        assert [part.span for part in parts] == [b"\x00[1]", b"[2]"]
        assert (await bench.batches.get(), await workshop.state("other-1")) == (before, None)

    async def test_a_zombie_divides_nothing(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        before = await bench.batches.bring(BatchStatus.PROCESSING)
        with pytest.raises(BatchRunLostError):
            await bench.facet.divide_batch(BATCH, OTHER_RUN, bench.new())
        with pytest.raises(BatchJobNotFoundError):
            await bench.facet.divide_batch("another", RUN, bench.new())
        with pytest.raises(ConveyorInternalError):
            await bench.facet.divide_batch(BATCH, RUN, [])
        assert (await bench.batches.get(), await workshop.state("part-2")) == (before, None)
        await bench.batches.ask(BatchCommand.INTERRUPT, run=RUN)
        with pytest.raises(BatchRunLostError):
            await bench.facet.divide_batch(BATCH, RUN, bench.new())

    async def test_it_is_not_divided_where_a_job_is_another(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        before = await bench.batches.bring(BatchStatus.PROCESSING)
        await workshop.jobs.save_job(workshop.new("part-3", payload=b"[1]"))
        new = [*bench.new(), NewBatchPart(3, b"[3]", bench.batches.job("part-3"))]
        with pytest.raises(DuplicateJobError):
            await bench.facet.divide_batch(BATCH, RUN, new)
        assert (await bench.batches.get(), await workshop.state("part-2")) == (before, None)
        assert list(await bench.facet.get_parts(BATCH)) == []

    async def test_a_part_is_begun_for_the_job_that_works_for_it(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.divide()
        with pytest.raises(BatchRunLostError):
            await bench.start(2, if_job_id="another")
        started = await bench.start(2)
        assert (started.run, started.status) == (SECOND, PartStatus.PROCESSING)
        # As after a lost answer; and then another job takes it over.
        assert await bench.start(2, if_job_id="another") == started
        taken = await bench.start(2, run="third", job_id="mine")
        assert (taken.run, taken.job_id) == ("third", "mine")
        with pytest.raises(BatchRunLostError):
            await bench.save(2)
        with pytest.raises(BatchRunLostError):
            await bench.start(2, if_job_id="part-2")
        assert await bench.part(2) == taken

    @pytest.mark.parametrize("status", STATUSES)
    async def test_a_part_is_begun_only_while_its_batch_job_is_processed(
        self, workshop: Workshop, status: BatchStatus
    ) -> None:
        bench = PartBench(workshop)
        await bench.bring(status)
        before = await bench.part(2)
        if status in (BatchStatus.PROCESSING, BatchStatus.INTERRUPTED):
            assert (await bench.start(2, run="again")).run == "again"
            return
        with pytest.raises(BatchRunLostError):
            await bench.start(2, run="again")
        assert await bench.part(2) == before

    async def test_a_step_of_a_part_is_kept_with_it_and_adds_to_the_batch_job(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        before = await bench.begin()
        first = bench.step(1, counts={RowOutcome.DONE: 8, RowOutcome.FAILED: 2}, errors=(RowError(3, "bad", "b"),))
        workshop.clock.advance(5)
        assert await bench.batches.save(first, run=FIRST) is BatchStatus.PROCESSING
        whole, part = part_stepped(before, part_of(before, 1, FIRST), FIRST, first, workshop.clock.now())
        assert (await bench.batches.get(), await bench.part(1)) == (whole, part)
        await bench.save(2, errors=(RowError(12, "worse", "\x00"),), message="\x00", total=2**40)
        await bench.save(2, 2, cursor=b"\xff")
        after, second = await bench.batches.get(), await bench.part(2)
        assert (after.done, after.total, after.cursor, after.message) == (30, 2**40, None, None)
        assert after.counts == {RowOutcome.DONE: 28, RowOutcome.FAILED: 2}
        assert (second.steps, second.cursor, second.done) == (2, b"\xff", 20)
        assert [error.row_number for error in await bench.batches.facet.get_errors(BATCH)] == [3, 12]
        await bench.save(2, 3, mended=[12])
        assert [error.row_number for error in await bench.batches.facet.get_errors(BATCH)] == [3]

    async def test_a_step_of_a_part_that_was_saved_adds_nothing(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        await bench.save(1)
        before = await bench.batches.get(), await bench.part(1)
        assert await bench.save(1, done=99, errors=(RowError(1, "bad", "b"),)) is BatchStatus.PROCESSING
        assert (await bench.batches.get(), await bench.part(1)) == before
        assert list(await bench.batches.facet.get_errors(BATCH)) == []

    async def test_a_zombie_of_a_part_saves_and_ends_nothing(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        await bench.start(2, run="third")
        before = await bench.batches.get(), await bench.part(2)
        with pytest.raises(BatchRunLostError):
            await bench.save(2, errors=(RowError(1, "bad", "b"),))
        with pytest.raises(BatchRunLostError):
            await bench.end(2)
        # That of the batch job is no run of a part, and that of one part none of another.
        for run in (RUN, FIRST):
            with pytest.raises(BatchRunLostError):
                await bench.batches.save(bench.step(2), run=run)
        with pytest.raises(BatchJobNotFoundError):
            await bench.batches.save(bench.step(3), run=FIRST)
        assert (await bench.batches.get(), await bench.part(2)) == before
        assert list(await bench.batches.facet.get_errors(BATCH)) == []

    @pytest.mark.parametrize("status", STATUSES)
    async def test_parts_are_told_to_stop_and_stop_where_their_batch_job_does(
        self, workshop: Workshop, status: BatchStatus
    ) -> None:
        bench = PartBench(workshop)
        await bench.bring(status)
        before = await bench.batches.get(), await bench.part(2)
        if status in PART_STATUSES:
            assert await bench.save(2) is status
            assert (await bench.batches.get()).done == 10
            return
        for call in (bench.save, bench.end):
            with pytest.raises(BatchRunLostError):
                await call(2)
        assert (await bench.batches.get(), await bench.part(2)) == before

    async def test_a_part_ends_once(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        await bench.save(2)
        before, part = await bench.batches.get(), await bench.part(2)
        ended = part_ended(before, part, SECOND, None, workshop.clock.now())
        for _ in range(2):
            assert await bench.end(2) == ended[1]
            assert (await bench.batches.get(), await bench.part(2)) == ended
        assert (ended[0].parts, ended[0].parts_done, ended[1].status) == (2, 1, PartStatus.COMPLETED)
        for call in (partial(bench.save, 2, 2), partial(bench.start, 2, run="third")):
            with pytest.raises(BatchRunLostError):
                await call()

    async def test_a_part_that_failed_tells_why_until_it_is_begun_again(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        for _ in range(2):
            assert (await bench.end(2, error="ünï\x00")).status is PartStatus.FAILED
        assert (await bench.part(2)).error == "ünï\x00"
        with pytest.raises(BatchRunLostError):
            await bench.save(2)
        assert (await bench.start(2, run="third")).error is None
        assert (await bench.batches.get()).parts_done == 0

    async def test_another_job_works_for_a_part(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        await bench.save(2)
        before, job = await bench.part(2), bench.batches.job("heir")
        with pytest.raises(BatchRunLostError):
            await bench.facet.assign_part(BATCH, OTHER_RUN, 2, job)
        with pytest.raises(BatchJobNotFoundError):
            await bench.facet.assign_part(BATCH, RUN, 3, job)
        assert (await bench.part(2), await workshop.state("heir")) == (before, None)
        after = await bench.facet.assign_part(BATCH, RUN, 2, job)
        assert after == evolve(before, job_id="heir", run=None)
        assert await workshop.state("heir") is JobState.WAITING
        started = await bench.start(2, run="third")
        assert await bench.facet.assign_part(BATCH, RUN, 2, job) == started
        await bench.facet.end_part(BATCH, 2, "third")
        done = await bench.facet.assign_part(BATCH, RUN, 2, bench.batches.job("late"))
        assert (done.status, await workshop.state("late")) == (PartStatus.COMPLETED, None)

    async def test_a_batch_job_with_an_open_part_is_not_completed(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        await bench.end(1)
        before = await bench.batches.get()
        for command in (BatchCommand.COMPLETE, BatchCommand.COMPLETE_WITH_ERRORS):
            with pytest.raises(InvalidBatchStatusError) as caught:
                await bench.batches.ask(command, run=RUN)
            assert str(command) not in caught.value.allowed
        assert await bench.batches.get() == before
        await bench.end(2)
        assert (await bench.batches.ask(BatchCommand.COMPLETE, run=RUN)).status is BatchStatus.COMPLETED

    async def test_parts_that_end_at_once_are_all_counted(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.batches.bring(BatchStatus.PROCESSING)
        numbers = range(1, CROWD + 1)
        await bench.facet.divide_batch(BATCH, RUN, [NewBatchPart(number, b"") for number in numbers])
        job_id = str((await bench.batches.get()).job_id)
        for number in numbers:
            await bench.facet.start_part(BATCH, PartStart(number, f"run-{number}", job_id, job_id))
        async with anyio.create_task_group() as tasks:
            for number in numbers:
                tasks.start_soon(partial(work_through, bench, number))
        after = await bench.batches.get()
        assert (after.parts_done, after.done, after.counts) == (CROWD, 20 * CROWD, {RowOutcome.DONE: 20 * CROWD})

    async def test_parts_go_with_their_batch_job(self, workshop: Workshop) -> None:
        bench = PartBench(workshop)
        await bench.begin()
        await bench.batches.ask(BatchCommand.FAIL)
        await bench.batches.facet.remove_batch(BATCH)
        assert list(await bench.facet.get_parts(BATCH)) == []

    async def test_a_step_of_a_part_is_committed_with_what_was_written(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        shelf = await Books.opened(workshop)
        bench = PartBench(workshop)
        await bench.begin()
        locks = {job.id: lock_of(job) for job in await (await workshop.hand()).fetch()}
        async with shelf.begun(locks["part-2"]) as transaction:
            await shelf.write(transaction.connection, "Emma")
            assert await transaction.commit_step(BATCH, SECOND, bench.step(2)) is BatchStatus.PROCESSING
        after, part = await bench.batches.get(), await bench.part(2)
        assert (after.done, part.done, await shelf.titles()) == (10, 10, ["Emma"])
        await bench.start(2, run="third")
        async with shelf.begun(locks["part-2"]) as transaction:
            await shelf.write(transaction.connection, "Persuasion")
            with pytest.raises(BatchRunLostError):
                await transaction.commit_step(BATCH, SECOND, bench.step(2, 2))
        assert (await shelf.titles(), await bench.batches.get()) == (["Emma"], after)


def part_of(batch: BatchJobData, number: int, run: str) -> BatchPart:
    """Return a part as it is when its run has begun."""
    return BatchPart(number, b"\x00[1]", str(batch.job_id), run)


async def work_through(bench: PartBench, number: int) -> None:
    """Save two steps of a part, and end it."""
    for step in (1, 2):
        await bench.batches.save(bench.step(number, step), run=f"run-{number}")
    await bench.facet.end_part(BATCH, number, f"run-{number}")
