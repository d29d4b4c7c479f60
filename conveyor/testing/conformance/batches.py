"""Batch jobs: they are created with their job, found, looked after, and removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from conveyor.errors import (
    BatchJobNotFoundError,
    ConfigurationError,
    DuplicateBatchJobError,
    DuplicateJobError,
    InvalidBatchStatusError,
)
from conveyor.model.batches.changing import FREEING_STATUSES, created
from conveyor.model.batches.status import ENDED_STATUSES, WORKED_STATUSES, BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchFilter, Confirmation, RowError
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.batch_bench import BATCH, bench_of
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BatchesConformance"]

STATUSES = sorted(BatchStatus)
HOUR = timedelta(hours=1)


class BatchesConformance(StoreKit):
    """What comes before and after the work of a batch job."""

    async def test_a_store_without_batches_has_no_facet(self, workshop: Workshop) -> None:
        needs(not workshop.store.capabilities.has_batches, "no batches")
        assert workshop.store.batches is None

    async def test_a_created_batch_job_comes_back_equal_and_its_job_waits(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        new = bench.new(
            "ünï'code 🚚",
            batch_type="ünï'type",
            context=b"\x00\xffsealed",
            dry_run=True,
            confirmation=Confirmation.MANUAL,
            created_by="ann@ünï",
            identity="sha256:1",
            parent_id="p",
        )
        job = bench.job("pre")
        made = await bench.facet.create_batch(new, job)
        assert made == created(new, job, workshop.clock.now())
        assert await bench.facet.get_batch(new.id) == made
        assert await workshop.state("pre") is JobState.WAITING

    async def test_an_unknown_batch_job_is_none(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.create()
        assert await bench.facet.get_batch("another") is None

    async def test_the_same_creation_again_returns_what_is_there_by_now(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        new, job = bench.new(), bench.job()
        await bench.facet.create_batch(new, job)
        await workshop.jobs.remove_job(job.id)
        now = await bench.ask(BatchCommand.PRE_PROCESS, context=b"another")
        assert await bench.facet.create_batch(new, job) == now
        assert await bench.jobs() == set()

    @pytest.mark.parametrize("fields", [{"batch_type": "export"}, {"context": b"another"}])
    async def test_another_batch_job_of_the_id_is_refused(self, workshop: Workshop, fields: dict[str, Any]) -> None:
        bench = bench_of(workshop)
        made = await bench.create()
        with pytest.raises(DuplicateBatchJobError) as caught:
            await bench.facet.create_batch(bench.new(**fields), bench.job("j"))
        assert caught.value.existing_id == BATCH
        assert (await bench.get(), await workshop.state("j")) == (made, None)

    async def test_one_identity_is_had_by_one_batch_job_of_the_type(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for status in STATUSES:
            await bench.bring(status, f"{status}", identity=status)
            again = bench.new(f"{status}-2", identity=status)
            if status in FREEING_STATUSES:
                await bench.facet.create_batch(again, bench.job())
                continue
            with pytest.raises(DuplicateBatchJobError) as caught:
                await bench.facet.create_batch(again, bench.job(f"{status}-job"))
            assert caught.value.existing_id == status
            assert await bench.facet.get_batch(again.id) is None
            assert await workshop.state(f"{status}-job") is None

    async def test_other_types_and_those_without_identity_do_not_meet(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.create("a", identity="x")
        await bench.create("b", identity="x", batch_type="export")
        await bench.create("c", identity="y")
        await bench.create("d")
        await bench.create("e")
        assert len(await bench.found()) == 5

    async def test_a_batch_job_whose_job_is_another_is_not_created(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await workshop.jobs.save_job(workshop.new("taken", payload=b"[1]"))
        new = bench.new(identity="x")
        with pytest.raises(DuplicateJobError):
            await bench.facet.create_batch(new, bench.job("taken"))
        assert await bench.facet.get_batch(BATCH) is None
        await bench.facet.create_batch(new, bench.job("free"))

    async def test_another_opening_has_batch_jobs_and_bad_rows_as_they_are(
        self, workshop: Workshop, open_workshop: OpenWorkshop
    ) -> None:
        needs(workshop.store.capabilities.is_shared, "is_shared")
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING)
        await bench.save(bench.step(errors=(RowError(3, "bad", "too bad"),)))
        async with open_workshop() as other:
            again = bench_of(other)
            assert await again.get() == await bench.get()
            assert list(await again.facet.get_errors(BATCH)) == list(await bench.facet.get_errors(BATCH))

    async def test_the_newest_are_found_first_and_pages_follow_one_another(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for names in ("da", "cb", "e"):
            for name in names:
                await bench.create(name)
            workshop.clock.advance(1)
        found: list[str] = []
        cursor = None
        while True:
            page = await bench.facet.find_batches(BatchFilter(), cursor=cursor, limit=2)
            found += [batch.id for batch in page.batches]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == await bench.found() == ["e", "b", "c", "a", "d"]
        assert (await bench.facet.find_batches(BatchFilter(), limit=5)).cursor is None
        assert await bench.found(limit=0) == []

    async def test_a_page_has_the_whole_of_each_batch_job(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PAUSED, "a")
        await bench.bring(BatchStatus.PROCESSING, "b")
        await bench.save(bench.step(), "b")
        page = await bench.facet.find_batches(BatchFilter())
        assert list(page.batches) == [await bench.get("a"), await bench.get("b")]

    async def test_they_are_found_by_what_they_are(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        begun = workshop.clock.now()
        await bench.create("a", batch_type="export", created_by="ann", parent_id="p")
        workshop.clock.advance(60)
        await bench.bring(BatchStatus.PROCESSING, "b", created_by="bob")
        workshop.clock.advance(60)
        await bench.bring(BatchStatus.FAILED, "c", created_by="bob")
        minute = timedelta(minutes=1)
        asked = {
            BatchFilter(types=("export", "x")): ["a"],
            BatchFilter(statuses=(BatchStatus.FAILED, BatchStatus.PROCESSING)): ["c", "b"],
            BatchFilter(created_by="bob"): ["c", "b"],
            BatchFilter(parent_id="p"): ["a"],
            BatchFilter(created_from=begun + minute): ["c", "b"],
            BatchFilter(created_before=begun + minute): ["a"],
            BatchFilter(created_from=begun + minute, created_before=begun + 2 * minute): ["b"],
            BatchFilter(types=("import",), statuses=(BatchStatus.FAILED,), created_by="bob"): ["c"],
            BatchFilter(types=("export",), created_by="bob"): [],
            BatchFilter(id_prefix="a"): ["a"],
            BatchFilter(id_prefix="%"): [],
        }
        for wanted, names in asked.items():
            assert await bench.found(wanted) == names, wanted

    @pytest.mark.parametrize("cursor", ["", "b", "2026-01-01T00:00:00/b", "2026-01-01T00:00:00+00:00/"])
    async def test_a_cursor_of_no_page_is_refused(self, workshop: Workshop, cursor: str) -> None:
        with pytest.raises(ConfigurationError, match="cursor"):
            await bench_of(workshop).facet.find_batches(BatchFilter(), cursor=cursor)

    async def test_only_a_status_that_waits_for_a_job_is_stranded_without(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for status in STATUSES:
            batch = await bench.bring(status, status)
            assert (await bench.stranded(), batch.job_id) == ([], batch.job_id), status
        for status in STATUSES:
            await workshop.jobs.remove_job(str((await bench.get(status)).job_id))
        assert sorted(await bench.stranded()) == [(status, None) for status in STATUSES if status in WORKED_STATUSES]

    async def test_one_whose_job_ended_is_stranded_and_told_how(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for name in "cba":
            await bench.create(name)
            workshop.clock.advance(1)
        hand = await workshop.hand()
        fetched = {job.id: job for job in await hand.fetch()}
        assert await bench.stranded() == []
        await workshop.finish(fetched["b-pre"], Command.FAIL)
        await workshop.jobs.cancel_job("c-pre", "enough")
        await workshop.finish(fetched["a-pre"], Command.DELAY)
        assert await bench.stranded() == [("c", "c-pre"), ("b", "b-pre")]
        assert await bench.stranded(limit=1) == [("c", "c-pre")]
        one, other = await bench.facet.find_stranded()
        assert one.job == await workshop.job("c-pre")
        assert other.job == await workshop.job("b-pre")
        assert other.batch == await bench.get("b")

    async def test_only_what_has_ended_is_removed(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for status in STATUSES:
            before = await bench.bring(status, status)
            if status in ENDED_STATUSES:
                await bench.facet.remove_batch(status)
                assert await bench.facet.get_batch(status) is None
                continue
            with pytest.raises(InvalidBatchStatusError):
                await bench.facet.remove_batch(status)
            assert await bench.get(status) == before
        with pytest.raises(BatchJobNotFoundError):
            await bench.facet.remove_batch("another")

    async def test_nothing_is_left_of_what_was_removed(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        await bench.bring(BatchStatus.PROCESSING, identity="x")
        await bench.save(bench.step(errors=(RowError(3, "bad", "too bad"),)))
        await bench.ask(BatchCommand.COMPLETE_WITH_ERRORS)
        await bench.facet.remove_batch(BATCH)
        assert list(await bench.facet.get_errors(BATCH)) == []
        again = await bench.facet.create_batch(bench.new(identity="x"), bench.job())
        assert (len(again.history), list(await bench.facet.get_errors(BATCH))) == (1, [])

    async def test_one_whose_bad_rows_are_taken_up_stays_until_they_are(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for name in ("first", "second"):
            await bench.bring(BatchStatus.COMPLETED, name)
        await bench.bring(BatchStatus.PROCESSING, "taker", parent_id="first")
        await bench.bring(BatchStatus.FAILED, "given-up", parent_id="second")
        workshop.clock.advance(2 * HOUR.total_seconds())
        assert sorted(one.id for one in await bench.facet.remove_ended(HOUR)) == ["given-up", "second"]
        # It is the oldest, and hides none behind it.
        await bench.bring(BatchStatus.COMPLETED, "later")
        workshop.clock.advance(1)
        await bench.bring(BatchStatus.COMPLETED, "last")
        assert [one.id for one in await bench.facet.remove_ended(None, most=1, limit=1)] == ["later"]
        assert (await bench.get("first")).status is BatchStatus.COMPLETED
        await bench.ask(BatchCommand.COMPLETE, "taker")
        assert [one.id for one in await bench.facet.remove_ended(HOUR)] == ["first"]

    async def test_what_ended_long_ago_is_removed(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for status in STATUSES:
            await bench.bring(status, status)
        workshop.clock.advance(60)
        later = await bench.bring(BatchStatus.COMPLETED, "later")
        assert list(await bench.facet.remove_ended(HOUR)) == []
        workshop.clock.advance(HOUR.total_seconds() - 60)
        first = [one.id for one in await bench.facet.remove_ended(HOUR, limit=1)]
        rest = [one.id for one in await bench.facet.remove_ended(HOUR)]
        assert (len(first), sorted(first + rest)) == (1, sorted(ENDED_STATUSES))
        workshop.clock.advance(60)
        assert list(await bench.facet.remove_ended(HOUR)) == [later]
        assert sorted(await bench.found()) == sorted(set(STATUSES) - ENDED_STATUSES)

    async def test_as_many_of_each_type_as_are_to_be_kept_stay(self, workshop: Workshop) -> None:
        bench = bench_of(workshop)
        for name in ("c", "a", "b"):
            await bench.bring(BatchStatus.COMPLETED, name)
            await bench.bring(BatchStatus.FAILED, f"{name}-other", batch_type="export")
            workshop.clock.advance(60)
        await bench.bring(BatchStatus.PROCESSING, "goes on")
        assert list(await bench.facet.remove_ended(HOUR, most=3)) == []
        first = [one.id for one in await bench.facet.remove_ended(HOUR, most=1, limit=3)]
        rest = [one.id for one in await bench.facet.remove_ended(None, most=1)]
        assert (first, rest) == (["c", "c-other", "a"], ["a-other"])
        # Those that are too old are counted first, and both reasons hold at once.
        workshop.clock.advance(HOUR.total_seconds() - 60)
        assert [one.id for one in await bench.facet.remove_ended(HOUR, most=0, limit=2)] == ["b", "b-other"]
        assert list(await bench.facet.remove_ended(None)) == []
        assert await bench.found() == ["goes on"]
