"""Steps of batch jobs: how far a run is, and the rows that failed, kept in one step, by the run that has it alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
from attrs import evolve

from conveyor.errors import BatchJobNotFoundError, BatchRunLostError
from conveyor.model.batches.changing import STEPPED_STATUSES, stepped
from conveyor.model.batches.status import BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchStep, RowError, RowFault, RowOutcome
from conveyor.testing.conformance.batch_bench import BATCH, OTHER_RUN, RUN, bench_of
from conveyor.testing.conformance.kit import StoreKit

if TYPE_CHECKING:
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BatchStepsConformance"]

STATUSES: Final = sorted(BatchStatus)


def bad(number: int, code: str = "bad") -> RowError:
    """Return the error of a row."""
    return RowError(number, code, f"row {number} is bad")


class BatchStepsConformance(StoreKit):
    """What a step leaves behind is the model's; that a zombie leaves nothing is the store's."""

    async def test_a_step_comes_back_with_its_bad_rows(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(BatchStatus.PROCESSING)
        workshop.clock.advance(5)
        also = (RowFault("bad", "no 'né\x00me'", "né"), RowFault("worse", "in all"))
        errors = (RowError(2, "cödé", "no 'price' 🚚", "price", "a;\x00b", also), RowError(7, "bad", "whole"))
        counts = {RowOutcome.CREATED: 8, RowOutcome.FAILED: 2}
        step = BatchStep(1, b"\x00cursor", 10, 2**40, counts, errors, "half\x00way", b"\xff")
        assert await bench.save(step) is BatchStatus.PROCESSING
        after = await bench.get()
        assert after == stepped(before, RUN, step, workshop.clock.now())
        assert (after.done, after.total, after.counts, after.cursor) == (10, 2**40, counts, b"\x00cursor")
        assert list(await bench.facet.get_errors(BATCH)) == list(errors)

    async def test_a_step_that_says_nothing_of_it_keeps_total_and_result(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        await bench.save(bench.step(total=100, result=b"r", message="here"))
        before = await bench.get()
        step = bench.step(2, cursor=None)
        await bench.save(step)
        after = await bench.get()
        assert after == stepped(before, RUN, step, workshop.clock.now())
        assert (after.total, after.result, after.message, after.cursor) == (100, b"r", None, None)

    async def test_a_step_that_was_saved_changes_nothing(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        await bench.save(bench.step(1, errors=(bad(1),)))
        await bench.save(bench.step(2))
        before = await bench.get()
        workshop.clock.advance(5)
        for number in (1, 2):
            again = bench.step(number, done=99, errors=(bad(1, "other"), bad(2)))
            assert await bench.save(again) is BatchStatus.PROCESSING
        assert await bench.get() == before
        assert list(await bench.facet.get_errors(BATCH)) == [bad(1)]

    @pytest.mark.parametrize("status", STATUSES)
    async def test_a_step_is_told_to_stop_and_a_run_that_ended_saves_none(
        self, workshop: Workshop, status: BatchStatus
    ) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(status)
        step = bench.step(errors=(bad(1),))
        if status in STEPPED_STATUSES:
            assert await bench.save(step) is status
            assert await bench.get() == stepped(before, RUN, step, workshop.clock.now())
            return
        with pytest.raises(BatchRunLostError):
            await bench.save(step)
        assert (await bench.get(), list(await bench.facet.get_errors(BATCH))) == (before, [])

    async def test_a_zombie_saves_nothing(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        await bench.save(bench.step())
        before = await bench.ask(BatchCommand.START, run=OTHER_RUN)
        assert (before.run, before.run_started_from) == (OTHER_RUN, 10)
        for number in (1, 2):
            with pytest.raises(BatchRunLostError):
                await bench.save(bench.step(number, errors=(bad(1),)))
        assert (await bench.get(), list(await bench.facet.get_errors(BATCH))) == (before, [])
        await bench.save(bench.step(2), run=OTHER_RUN)

    async def test_an_unknown_batch_job_has_no_steps_and_no_errors(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        with pytest.raises(BatchJobNotFoundError):
            await bench.save(bench.step(), "another")
        assert list(await bench.facet.get_errors("another")) == []

    @pytest.mark.parametrize(("step", "retries"), [({}, 0), ({"done": 0}, 0), ({"done": 0, "cursor": None}, 1)])
    async def test_a_step_forward_gives_new_retries(
        self, workshop: Workshop, step: dict[str, Any], retries: int
    ) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        await bench.ask(BatchCommand.INTERRUPT, run=RUN, is_retry=True, error="bad")
        assert (await bench.ask(BatchCommand.START)).retries == 1
        await bench.save(bench.step(**step))
        assert (await bench.get()).retries == retries

    async def test_bad_rows_come_by_number_and_in_pages(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        await bench.bring(BatchStatus.PROCESSING, "other")
        await bench.save(bench.step(errors=(bad(10),)), "other")
        await bench.save(bench.step(errors=[bad(number) for number in (10, 2, 2**40, 9)]))
        await bench.save(bench.step(2, errors=[bad(3), bad(2, "worse"), bad(3, "last")]))
        expected = [bad(2, "worse"), bad(3, "last"), bad(9), bad(10), bad(2**40)]
        assert list(await bench.facet.get_errors(BATCH)) == expected
        assert list(await bench.facet.get_errors(BATCH, after=2, limit=2)) == expected[1:3]
        assert list(await bench.facet.get_errors(BATCH, after=10)) == expected[4:]

    async def test_the_row_that_ended_a_run_is_told_until_it_is_mended(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        last = evolve(bad(12), ended_run=True)
        await bench.save(bench.step(errors=[bad(3)]))
        await bench.save(bench.step(2, errors=[last]))
        assert list(await bench.facet.get_errors(BATCH)) == [bad(3), last]
        await bench.save(bench.step(2, mended=[12]))
        assert list(await bench.facet.get_errors(BATCH)) == [bad(3), last]
        await bench.save(bench.step(3, errors=[bad(21)], mended=[12, 13]))
        assert list(await bench.facet.get_errors(BATCH)) == [bad(3), bad(21)]

    async def test_one_step_saved_many_times_at_once_is_saved_once(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(BatchStatus.PROCESSING)
        step = bench.step(errors=(bad(1),))
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(bench.save, step)
        assert (await bench.get()).revision == before.revision + 1

    async def test_a_step_and_a_pause_at_once_are_both_kept(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        async with anyio.create_task_group() as tasks:
            for number in range(1, 6):
                tasks.start_soon(bench.save, bench.step(number))
                if number == 3:
                    tasks.start_soon(partial(bench.ask, BatchCommand.PAUSE))
        after = await bench.get()
        assert (after.status, after.steps) == (BatchStatus.PAUSING, 5)

    async def test_bad_rows_are_kept_that_were_found_before_anything_is_processed(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(BatchStatus.CREATED)
        errors = [bad(10), bad(2), RowError(7, "cödé", "no 'price' 🚚", "price", "a;\x00b")]
        assert await bench.save_errors(errors) is BatchStatus.CREATED
        assert await bench.save_errors([bad(3), bad(2, "worse"), bad(3, "last")]) is BatchStatus.CREATED
        assert await bench.save_errors([]) is BatchStatus.CREATED
        expected = [bad(2, "worse"), bad(3, "last"), errors[2], bad(10)]
        assert list(await bench.facet.get_errors(BATCH)) == expected
        assert await bench.get() == before

    @pytest.mark.parametrize("status", [status for status in STATUSES if status is not BatchStatus.CREATED])
    async def test_once_the_look_is_over_it_keeps_no_bad_rows(self, workshop: Workshop, status: BatchStatus) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(status)
        assert await bench.save_errors([bad(1)]) is status
        assert (await bench.get(), list(await bench.facet.get_errors(BATCH))) == (before, [])

    async def test_the_look_of_another_job_keeps_no_bad_rows(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.CREATED)
        with pytest.raises(BatchRunLostError):
            await bench.facet.save_errors(BATCH, "another", [bad(1)])
        assert list(await bench.facet.get_errors(BATCH)) == []
        with pytest.raises(BatchJobNotFoundError):
            await bench.facet.save_errors("another", f"{BATCH}-pre", [bad(1)])

    async def test_bad_rows_of_a_look_are_there_until_the_first_run(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for batch_id in (BATCH, "other"):
            await bench.bring(BatchStatus.CREATED, batch_id)
            await bench.save_errors([bad(1), bad(2)], batch_id)
        for command in (BatchCommand.PRE_PROCESS, BatchCommand.CONFIRM):
            await bench.ask(command)
            assert list(await bench.facet.get_errors(BATCH)) == [bad(1), bad(2)]
        await bench.ask(BatchCommand.START)
        assert list(await bench.facet.get_errors(BATCH)) == []
        await bench.save(bench.step(errors=(bad(2),)))
        await bench.ask(BatchCommand.INTERRUPT, run=RUN)
        await bench.ask(BatchCommand.START, run=OTHER_RUN)
        assert list(await bench.facet.get_errors(BATCH)) == [bad(2)]
        assert list(await bench.facet.get_errors("other")) == [bad(1), bad(2)]

    async def test_another_look_forgets_the_bad_rows_of_the_one_before(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.CREATED)
        await bench.save_errors([bad(1)])
        await bench.ask(BatchCommand.FAIL, error="too many")
        assert list(await bench.facet.get_errors(BATCH)) == [bad(1)]
        await bench.ask(BatchCommand.RESTART)
        assert list(await bench.facet.get_errors(BATCH)) == []
