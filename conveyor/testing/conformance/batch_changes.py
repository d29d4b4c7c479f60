"""Changes of batch jobs: every cell of the model's table, each change once, whoever asks at the same time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.errors import (
    BatchJobNotFoundError,
    BatchRunLostError,
    ConveyorInternalError,
    DuplicateBatchJobError,
    DuplicateJobError,
    InvalidBatchStatusError,
)
from conveyor.model.batches.changing import added_job, changed
from conveyor.model.batches.status import TRANSITIONS, BatchCommand, BatchStatus
from conveyor.model.states import JobState
from conveyor.testing.conformance.batch_bench import BATCH, OTHER_RUN, RUN, BatchBench, bench_of
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BatchChangesConformance"]

STATUSES: Final = sorted(BatchStatus)
CROWD: Final = 8
# What happened may be told in words that are no text for a database.
ERROR: Final = "ünï\x00"


async def gather(*calls: Callable[[], Awaitable[object]]) -> list[Exception]:
    """Make calls at once; return what those raised that were refused."""
    refused: list[Exception] = []

    async def make(call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except (BatchRunLostError, DuplicateBatchJobError, InvalidBatchStatusError) as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(make, call)
    return refused


class BatchChangesConformance(StoreKit):
    """What a change makes of a batch job is the model's; that all of it happens, once, or nothing, is the store's."""

    @pytest.mark.parametrize("status", STATUSES)
    async def test_every_command_leads_where_the_table_says_or_is_refused(
        self, workshop: Workshop, status: BatchStatus
    ) -> None:
        bench = bench_of(workshop)
        for command in BatchCommand:
            before = await bench.bring(status, command)
            job_id = f"{command}-job"
            change = bench.change(command, job=bench.job(job_id), by="bob", reason="so")
            workshop.clock.advance(1)
            if command in TRANSITIONS[status]:
                after = changed(before, change, workshop.clock.now())
                assert await bench.facet.change_batch(command, change) == after
                state = JobState.WAITING if added_job(after, change) else None
            else:
                with pytest.raises(InvalidBatchStatusError) as caught:
                    await bench.facet.change_batch(command, change)
                assert (caught.value.status, caught.value.command) == (status, command)
                after, state = before, None
            assert (await bench.get(command), await workshop.state(job_id)) == (after, state)

    async def test_a_change_writes_all_that_it_holds(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING, context=b"1")
        await bench.save(bench.step(total=5, result=b"2"))
        before = await bench.get()
        change = bench.change(
            BatchCommand.FAIL,
            run=RUN,
            context=b"\x00",
            result=b"\xff",
            total=0,
            error="ünï\x00",
            reason="\x00",
            is_retry=True,
        )
        await bench.facet.change_batch(BATCH, change)
        after = await bench.get()
        assert after == changed(before, change, workshop.clock.now())
        assert (after.context, after.result, after.total, after.error, after.retries) == (
            b"\x00",
            b"\xff",
            0,
            "ünï\x00",
            1,
        )
        await bench.ask(BatchCommand.RETRY)
        again = await bench.get()
        assert (again.error, again.retries, again.cursor, again.steps) == (None, 0, b"10", 1)
        assert (again.context, again.result, again.total) == (b"\x00", b"\xff", 0)

    async def test_the_same_change_again_changes_nothing_more(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        made = [bench.change(BatchCommand.PAUSE), bench.change(BatchCommand.STOP), bench.change(BatchCommand.RESUME)]
        for change in made:
            done = await bench.facet.change_batch(BATCH, change)
            assert await bench.facet.change_batch(BATCH, change) == done
        after = await bench.ask(BatchCommand.START, run=OTHER_RUN)
        await bench.jobs()
        for change in made:
            assert await bench.facet.change_batch(BATCH, change) == after
        assert await bench.get() == after
        assert await bench.jobs() == set()

    async def test_a_change_that_was_made_to_one_is_new_to_another(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for name in "ab":
            await bench.create(name)
            await bench.ask(BatchCommand.CANCEL, name, id="same")
        assert (await bench.get("b")).status is BatchStatus.CANCELLED

    async def test_a_zombie_changes_nothing(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        before = await bench.ask(BatchCommand.START, run=OTHER_RUN)
        for command in (BatchCommand.INTERRUPT, BatchCommand.COMPLETE, BatchCommand.FAIL, BatchCommand.STOP):
            with pytest.raises(BatchRunLostError):
                await bench.ask(command, run=RUN, job=bench.job("j"))
        assert (await bench.get(), await workshop.state("j")) == (before, None)
        assert (await bench.ask(BatchCommand.COMPLETE, run=OTHER_RUN)).status is BatchStatus.COMPLETED

    async def test_a_change_that_is_meant_for_another_job_is_refused(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PAUSED)
        old = (await bench.get()).job_id
        now = await bench.ask(BatchCommand.RESUME)
        for command in (BatchCommand.START, BatchCommand.FAIL):
            with pytest.raises(BatchRunLostError):
                await bench.ask(command, if_job_id=old)
        assert await bench.get() == now
        assert (await bench.ask(BatchCommand.START, if_job_id=now.job_id)).status is BatchStatus.PROCESSING

    async def test_one_that_failed_is_tried_again_unless_another_has_its_identity(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        failed = await bench.bring(BatchStatus.FAILED, identity="x")
        await bench.create("heir", identity="x")
        for command in (BatchCommand.RETRY, BatchCommand.RESTART):
            with pytest.raises(DuplicateBatchJobError) as caught:
                await bench.ask(command, job=bench.job("j"))
            assert caught.value.existing_id == "heir"
        assert (await bench.get(), await workshop.state("j")) == (failed, None)
        await bench.ask(BatchCommand.CANCEL, "heir")
        assert (await bench.ask(BatchCommand.RESTART)).status is BatchStatus.CREATED

    async def test_a_change_whose_job_is_another_is_not_made(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(BatchStatus.PRE_PROCESSED)
        await workshop.jobs.save_job(workshop.new("taken", payload=b"[1]"))
        with pytest.raises(DuplicateJobError):
            await bench.ask(BatchCommand.CONFIRM, id="c", job=bench.job("taken"))
        assert await bench.get() == before
        assert (await bench.ask(BatchCommand.CONFIRM, id="c")).status is BatchStatus.CONFIRMED

    async def test_a_change_that_leaves_nobody_to_work_is_refused(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        before = await bench.bring(BatchStatus.PRE_PROCESSED)
        with pytest.raises(ConveyorInternalError, match="without a job"):
            await bench.ask(BatchCommand.CONFIRM, job=None)
        assert await bench.get() == before

    async def test_what_is_not_there_is_not_changed(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.create()
        with pytest.raises(BatchJobNotFoundError):
            await bench.ask(BatchCommand.CANCEL, "another", job=bench.job("j"))
        assert await bench.jobs() == {"b-pre"}

    async def test_of_many_who_confirm_at_once_one_does(self, workshop: Workshop, open_workshop: OpenWorkshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PRE_PROCESSED)
        await bench.jobs()
        if workshop.store.capabilities.is_shared:
            async with open_workshop() as other:
                await confirm_at_once(bench, bench_of(other))
        else:
            await confirm_at_once(bench, bench)

    async def test_one_change_made_many_times_at_once_is_made_once(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PRE_PROCESSED)
        await bench.jobs()
        change = bench.change(BatchCommand.CONFIRM)
        assert await gather(*[partial(bench.facet.change_batch, BATCH, change)] * CROWD) == []
        assert [line.after for line in (await bench.get()).history].count(BatchStatus.CONFIRMED) == 1
        assert len(await bench.jobs()) == 1

    async def test_of_many_that_are_the_same_one_is_created(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        refused = await gather(*(partial(bench.create, f"b{number}", identity="x") for number in range(CROWD)))
        (name,) = await bench.found()
        assert [str(error) for error in refused] == [str(DuplicateBatchJobError(name, "import"))] * (CROWD - 1)
        assert await bench.jobs() == {f"{name}-pre"}

    async def test_one_that_is_tried_again_and_one_that_is_the_same_at_once_are_one(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for number in range(4):
            failed, heir = f"failed-{number}", f"heir-{number}"
            await bench.bring(BatchStatus.FAILED, failed, identity=heir)
            calls = [partial(bench.ask, BatchCommand.RETRY, failed), partial(bench.create, heir, identity=heir)]
            refused = await gather(*(calls if number % 2 else calls[::-1]))
            status, created = (await bench.get(failed)).status, await bench.facet.get_batch(heir)
            assert (len(refused), status) == (1, BatchStatus.CONFIRMED if created is None else BatchStatus.FAILED)

    async def test_one_creation_made_many_times_at_once_is_made_once(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        assert await gather(*[bench.create] * CROWD) == []
        assert (await bench.found(), await bench.jobs()) == ([BATCH], {"b-pre"})

    async def test_an_end_and_a_cancel_at_once_make_one_end(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for name, first in (("a", 0), ("b", 1)):
            await bench.bring(BatchStatus.PROCESSING, name)
            calls = [
                partial(bench.ask, BatchCommand.COMPLETE, name, run=RUN),
                partial(bench.ask, BatchCommand.CANCEL, name),
            ]
            refused = await gather(*calls[first:], *calls[:first])
            after = await bench.get(name)
            assert after.status is BatchStatus.COMPLETED
            assert len(refused) + len(after.history) == 6


async def confirm_at_once(bench: BatchBench, other: BatchBench) -> None:
    """Confirm a batch job from two openings; only one of the jobs is there afterwards, and works for it."""
    refused = await gather(
        *(
            partial(one.ask, BatchCommand.CONFIRM, id=f"{name}{number}", job=one.job(f"{name}{number}"))
            for number in range(CROWD // 2)
            for name, one in (("one", bench), ("two", other))
        )
    )
    assert len(refused) == CROWD - 1
    assert await bench.jobs() == {(await bench.get()).job_id}
