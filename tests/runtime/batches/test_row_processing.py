"""Rows of a batch job, processed in chunks: what is written, kept, repeated and refused, wherever a run ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from conveyor.errors import (
    BadRowError,
    BatchJobError,
    BatchStoppedError,
    ConfigurationError,
    StoreUnavailableError,
    TooManyBadRowsError,
)
from conveyor.model.batches.policy import ErrorPolicy
from conveyor.model.batches.rows import RowPreview
from conveyor.model.batches.values import RowOutcome
from conveyor.testing import jumping_backends
from conveyor.testing.batches import FakeBatchJobs, FakeBatchRun, RunKilledError
from tests.runtime.batches.catalogue import Catalogue, Import, ImportOneByOne, Params, Product, products

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.row_batches import RowContext

pytestmark = pytest.mark.anyio

KINDS = (Import, ImportOneByOne)
# How many saves there are depends on the time that chunks take: the same number each time, where they take none.
no_time_passes = pytest.mark.parametrize("anyio_backend", jumping_backends())


async def opened(strategy: Import, *runs: FakeBatchRun) -> Import:
    await strategy.init(FakeBatchJobs(*runs).injector())
    return strategy


def made(catalogue: Catalogue | None = None, *, dry_run: bool = False) -> FakeBatchRun:
    return FakeBatchRun({}, dry_run=dry_run, begin=None if catalogue is None else catalogue.begin)


async def whole(strategy: Import, run: FakeBatchRun) -> None:
    await opened(strategy, run)
    await strategy.pre_process_batch_job("batch-1")
    run.start()
    await strategy.process_job("batch-1")


@no_time_passes
@pytest.mark.parametrize("kind", KINDS)
async def test_all_rows_are_written_once_and_counted(kind: type[Import]) -> None:
    catalogue = Catalogue()
    run = made(catalogue)
    await whole(kind(products(1000)), run)
    assert catalogue.rows() == [(f"sku-{index}", index) for index in range(1000)]
    assert catalogue.writes() == 1000
    assert (run.batch_job.done, run.batch_job.total) == (1000, 1000)
    assert {k: v for k, v in run.batch_job.counts.items() if v} == {RowOutcome.CREATED: 1000}
    assert run.saves < 30


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [{0}, {99}, {50, 51}, set(range(20, 60)), set(range(100))])
async def test_bad_rows_are_found_and_all_others_are_written_once(kind: type[Import], bad: set[int]) -> None:
    catalogue = Catalogue()
    run = made(catalogue)
    await whole(kind(products(100, bad)), run)
    assert catalogue.rows() == [(f"sku-{index}", index) for index in range(100) if index not in bad]
    assert catalogue.writes() == 100 - len(bad)
    assert sorted(run.errors) == [index + 1 for index in sorted(bad)]
    assert run.batch_job.counts[RowOutcome.FAILED] == len(bad)
    error = next(iter(run.errors.values()))
    assert error.code == "failed"
    assert "CHECK constraint" in error.message
    assert error.raw == f'{{"price":-1,"sku":"sku-{error.row_number - 1}"}}'


async def test_one_bad_row_of_a_chunk_costs_few_tries() -> None:
    class Whole(Import):
        chunk_size: ClassVar[int] = 1024

    catalogue = Catalogue()
    strategy = Whole(products(1040, {800}))
    await whole(strategy, made(catalogue))
    assert len(strategy.calls) < 30


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stop_policy_keeps_the_rows_before_the_bad_one_and_none_after(kind: type[Import]) -> None:
    class Strict(kind):  # type: ignore[misc,valid-type]
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    catalogue = Catalogue()
    run = made(catalogue)
    with pytest.raises(TooManyBadRowsError, match=r"may have 0 at most; the last is row 42: .*CHECK") as caught:
        await whole(Strict(products(100, {41})), run)
    assert caught.value.row_number == 42
    assert len(catalogue.rows()) == catalogue.writes() == run.batch_job.done == 41
    assert [(number, error.ended_run) for number, error in run.errors.items()] == [(42, True)]
    assert run.batch_job.counts[RowOutcome.FAILED] == 0


async def test_a_batch_job_that_failed_at_a_row_goes_on_there_once_it_is_mended() -> None:
    class Strict(Import):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    catalogue = Catalogue()
    run = made(catalogue)
    strategy = Strict(products(100, {41}))
    with pytest.raises(TooManyBadRowsError):
        await whole(strategy, run)
    strategy.products = products(100)
    await strategy.process_job("batch-1")
    assert catalogue.rows() == [(f"sku-{index}", index) for index in range(100)]
    assert catalogue.writes() == 100
    assert run.errors == {}


async def test_a_row_that_ended_a_run_and_is_bad_yet_ends_the_next_as_well() -> None:
    class Strict(Import):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    run = made(Catalogue())
    strategy = Strict(products(100, {0}))
    for _ in range(2):
        with pytest.raises(TooManyBadRowsError):
            await whole(strategy, run)
        assert [(number, error.ended_run) for number, error in run.errors.items()] == [(1, True)]
    strategy.errors = ErrorPolicy.skip()  # type: ignore[misc] # as after a deploy
    await strategy.process_job("batch-1")
    assert [(number, error.ended_run) for number, error in run.errors.items()] == [(1, False)]
    assert run.batch_job.counts == {RowOutcome.CREATED: 99, RowOutcome.FAILED: 1}


@pytest.mark.parametrize("kind", KINDS)
async def test_more_bad_rows_than_may_be_skipped_fail_the_run_at_the_first_too_many(kind: type[Import]) -> None:
    class Lenient(kind):  # type: ignore[misc,valid-type]
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(most=3)

    catalogue = Catalogue()
    run = made(catalogue)
    with pytest.raises(TooManyBadRowsError) as caught:
        await whole(Lenient(products(100, {10, 20, 30, 40, 50})), run)
    assert (caught.value.failed, caught.value.row_number) == (4, 41)
    assert [(number, run.errors[number].ended_run) for number in sorted(run.errors)] == [
        (11, False),
        (21, False),
        (31, False),
        (41, True),
    ]
    assert len(catalogue.rows()) == catalogue.writes() == 37


async def test_a_share_of_bad_rows_is_judged_by_the_total() -> None:
    class Lenient(Import):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(share=0.05)

    run = made(Catalogue())
    await whole(Lenient(products(100, range(5))), run)
    assert len(run.errors) == 5
    run = made(Catalogue())
    with pytest.raises(TooManyBadRowsError):
        await whole(Lenient(products(100, range(6))), run)


async def test_rows_that_fail_their_check_are_kept_apart_and_never_processed() -> None:
    catalogue = Catalogue()
    run = made(catalogue)
    await whole(Import([Product("a", 1), Product("", 2), Product("c", 3)]), run)
    assert catalogue.rows() == [("a", 1), ("c", 3)]
    error = run.errors[2]
    assert (error.code, error.column, error.message) == ("required", "sku", "must not be empty")
    assert run.result is not None
    preview = run.result["preview"]
    assert preview["counts"] == {"created": 2, "failed": 1}
    assert preview["errors"] == {"sku": {"required": 1}}
    assert preview["first_errors"][0]["row"] == 2


async def test_more_rows_that_fail_their_check_than_may_be_are_told_before_anything_is_written() -> None:
    class Strict(Import):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    run = made(Catalogue())
    strategy = await opened(Strict([Product("a", 1), Product("", 2)]), run)
    with pytest.raises(TooManyBadRowsError, match="1 bad row"):
        await strategy.pre_process_batch_job("batch-1")
    assert run.result is not None
    assert run.result["preview"]["errors"] == {"sku": {"required": 1}}
    assert run.saves == 0


async def test_a_row_that_process_calls_bad_is_kept_apart_and_the_others_stay() -> None:
    class Saying(Import):
        async def process(
            self, rows: Sequence[Product], context: RowContext[Params], /
        ) -> Sequence[RowOutcome | BadRowError | None]:
            return [BadRowError("odd", "is odd", "price") if row.price % 2 else None for row in rows]

    run = made(Catalogue())
    await whole(Saying(products(10)), run)
    assert sorted(run.errors) == [2, 4, 6, 8, 10]
    assert run.batch_job.counts[RowOutcome.DONE] == 5


async def test_rows_after_one_that_process_calls_one_too_many_are_undone() -> None:
    class Saying(Import):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(most=1)

        async def process(
            self, rows: Sequence[Product], context: RowContext[Params], /
        ) -> Sequence[RowOutcome | BadRowError | None]:
            await context.connection.executemany("INSERT INTO writes VALUES (?)", [(row.sku,) for row in rows])
            return [BadRowError("five", "ends in five", "price") if row.price % 10 == 5 else None for row in rows]

    catalogue = Catalogue()
    run = made(catalogue)
    with pytest.raises(TooManyBadRowsError) as caught:
        await whole(Saying(products(40)), run)
    assert caught.value.row_number == 16
    assert catalogue.writes() == run.batch_job.done == 15


@no_time_passes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kill_after", [False, True])
async def test_a_run_that_is_killed_at_any_save_is_taken_up_with_exactly_the_rows_that_remain(
    kind: type[Import], *, kill_after: bool
) -> None:
    bad = {3, 40, 41, 150}
    expected = Catalogue()
    uninterrupted = made(expected)
    await whole(kind(products(200, bad)), uninterrupted)
    assert uninterrupted.saves >= 4
    for kill_at in range(1, uninterrupted.saves + 1):
        catalogue = Catalogue()
        run = made(catalogue)
        run.kill_at, run.kill_after = kill_at, kill_after
        with pytest.raises(RunKilledError):
            await whole(kind(products(200, bad)), run)
        run.kill_at = None
        again = await opened(kind(products(200, bad)), run)
        await again.process_job("batch-1")
        assert min(again.read, default=200) == run_starts_at(run, again)
        assert catalogue.rows() == expected.rows()
        assert catalogue.writes() == expected.writes()
        assert run.errors == uninterrupted.errors
        assert run.batch_job.counts == uninterrupted.batch_job.counts
        assert run.batch_job.done == 200


def run_starts_at(run: FakeBatchRun, again: Import) -> int:
    """Where the second run began is no row that was done: the rows it read are those that it had to."""
    return 200 - len(again.read)


class Keyed(Import):
    """Writes where there are no transactions; the keys tell repetitions."""

    chunk_size: ClassVar[int] = 16

    def __init__(self, rows: Sequence[Product], seen: list[str]) -> None:
        super().__init__(rows)
        self.seen = seen

    async def process(
        self, rows: Sequence[Product], context: RowContext[Params], /
    ) -> Sequence[RowOutcome | BadRowError | None]:
        assert not context.has_connection
        for row, key in zip(rows, context.keys, strict=True):
            if row.price < 0:
                raise ValueError("a negative price")
            self.seen.append(key)
        return [None] * len(rows)


@pytest.mark.parametrize("kill_after", [False, True])
async def test_without_transactions_at_most_one_chunk_is_repeated_under_the_same_keys(*, kill_after: bool) -> None:
    for kill_at in range(1, 7):
        seen: list[str] = []
        run = made()
        run.kill_at, run.kill_after = kill_at, kill_after
        with pytest.raises(RunKilledError):
            await whole(Keyed(products(100), seen), run)
        run.kill_at = None
        await (await opened(Keyed(products(100), seen), run)).process_job("batch-1")
        assert set(seen) == {f"batch-1:{number}" for number in range(1, 101)}
        assert len(seen) - 100 == (0 if kill_after else min(16, 100 - 16 * (kill_at - 1)))


async def test_a_run_that_is_to_stop_stops_after_the_chunk_and_goes_on_later() -> None:
    catalogue = Catalogue()
    run = made(catalogue)
    strategy = await opened(Import(products(100)), run)
    run.start()
    run.stop_reason = "paused"
    with pytest.raises(BatchStoppedError):
        await strategy.process_job("batch-1")
    assert len(catalogue.rows()) == run.batch_job.done == 16
    run.stop_reason = None
    await strategy.process_job("batch-1")
    assert catalogue.writes() == 100


async def test_a_dry_run_does_everything_and_keeps_nothing() -> None:
    catalogue = Catalogue()
    run = made(catalogue, dry_run=True)
    await whole(Import(products(50, {7})), run)
    assert catalogue.rows() == []
    assert catalogue.begun > 0
    assert sorted(run.errors) == [8]
    assert run.batch_job.counts[RowOutcome.CREATED] == 49
    assert run.result is not None
    assert run.result["dry_run"]["rows_were"] == "rolled_back"
    assert run.result["dry_run"]["estimate_seconds"] >= 0


async def test_a_dry_run_of_a_strategy_that_cannot_be_rolled_back_only_checks() -> None:
    class Unsafe(Import):
        rollback_safe: ClassVar[bool] = False

        async def check(self, row: Product, context: RowContext[Params], /) -> Any:
            if row.price == 3:
                raise ValueError("three is out")
            return RowPreview(RowOutcome.UPDATED, {"price": (0, row.price)})

    catalogue = Catalogue()
    run = made(catalogue, dry_run=True)
    strategy = Unsafe(products(10))
    await whole(strategy, run)
    assert (catalogue.begun, strategy.calls) == (0, [])
    assert run.batch_job.counts == {RowOutcome.UPDATED: 9, RowOutcome.FAILED: 1}
    assert run.result is not None
    assert run.result["dry_run"] == {"rows_were": "checked"}
    assert run.result["preview"]["differences"][0] == {"row": 1, "outcome": "updated", "changes": {"price": [0, 0]}}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dry_run_shows_all_bad_rows_whatever_the_policy(kind: type[Import]) -> None:
    class Strict(kind):  # type: ignore[misc,valid-type]
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    run = made(Catalogue(), dry_run=True)
    await whole(Strict([*products(50, {7, 9}), Product("", 1)]), run)
    assert sorted(run.errors) == [8, 10, 51]


async def test_process_must_answer_for_each_row() -> None:
    class Short(Import):
        async def process(
            self, rows: Sequence[Product], context: RowContext[Params], /
        ) -> Sequence[RowOutcome | BadRowError | None]:
            return [None]

    with pytest.raises(BatchJobError, match="process returned 1 outcomes for 2 rows"):
        await whole(Short(products(2)), made(Catalogue()))


async def test_a_mistake_of_configuration_is_blamed_on_no_row() -> None:
    class Mistaken(Import):
        async def process(
            self, rows: Sequence[Product], context: RowContext[Params], /
        ) -> Sequence[RowOutcome | BadRowError | None]:
            raise ConfigurationError("wrong")

    run = made(Catalogue())
    with pytest.raises(ConfigurationError, match="wrong"):
        await whole(Mistaken(products(2)), run)
    assert run.errors == {}


@pytest.mark.parametrize("anyio_backend", jumping_backends())
class TestTime:
    """With a clock that jumps: nobody waits for real."""

    @pytest.mark.parametrize("kind", [StoreUnavailableError, TimeoutError])
    async def test_what_is_no_rows_fault_is_tried_again(self, kind: type[Exception]) -> None:
        class Flaky(Import):
            fails = 3

            async def process(
                self, rows: Sequence[Product], context: RowContext[Params], /
            ) -> Sequence[RowOutcome | BadRowError | None]:
                if self.fails:
                    self.fails -= 1
                    raise kind("not now")
                return await super().process(rows, context)

        catalogue = Catalogue()
        run = made(catalogue)
        await whole(Flaky(products(40)), run)
        assert catalogue.writes() == 40
        assert run.errors == {}

    async def test_what_is_no_rows_fault_ends_the_run_at_last(self) -> None:
        class Down(Import):
            async def process(
                self, rows: Sequence[Product], context: RowContext[Params], /
            ) -> Sequence[RowOutcome | BadRowError | None]:
                raise StoreUnavailableError("never")

        run = made(Catalogue())
        with pytest.raises(StoreUnavailableError):
            await whole(Down(products(40)), run)
        assert (run.errors, run.batch_job.done) == ({}, 0)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_row_is_tried_again_alone_and_the_rows_before_it_are_saved_meanwhile(
        self, kind: type[Import]
    ) -> None:
        class Retrying(kind):  # type: ignore[misc,valid-type]
            errors: ClassVar[ErrorPolicy] = ErrorPolicy.retry(2, wait=60)

        catalogue = Catalogue()
        run = made(catalogue)
        await whole(Retrying(products(30, {9, 10})), run)
        assert catalogue.writes() == 28
        assert sorted(run.errors) == [10, 11]
        assert len(run.logs) == 4
        assert "row 10 is tried again" in run.logs[0]

    async def test_a_row_that_works_when_it_is_tried_again_is_no_bad_row(self) -> None:
        class Flaky(ImportOneByOne):
            errors: ClassVar[ErrorPolicy] = ErrorPolicy.retry(2)
            fails = 2

            async def process_one(self, row: Product, context: RowContext[Params], /) -> RowOutcome:
                if row.price == 5 and self.fails:
                    self.fails -= 1
                    raise RuntimeError("not now")
                return await super().process_one(row, context)

        catalogue = Catalogue()
        run = made(catalogue)
        await whole(Flaky(products(30)), run)
        assert catalogue.writes() == 30
        assert run.errors == {}

    async def test_a_throttled_run_waits_and_still_stops_when_it_is_to(self) -> None:
        class Throttled(Import):
            asked = 0

            async def throttle(self, context: RowContext[Params], /) -> float | None:
                self.asked += 1
                return 3600.0 if self.asked == 2 else None

        catalogue = Catalogue()
        run = made(catalogue)
        strategy = Throttled(products(40))
        await whole(strategy, run)
        assert catalogue.writes() == 40
        assert strategy.asked > 2

    @pytest.mark.parametrize("wait", ["5 minutes", timedelta(minutes=5), 300])
    async def test_what_a_run_is_throttled_for_is_a_duration_and_is_told(self, wait: Any) -> None:
        class Throttled(Import):
            async def throttle(self, context: RowContext[Params], /) -> Any:
                began_at.append(anyio.current_time())
                messages.append(context.run.batch_job.message)
                return waits.pop(0) if waits else None

        import anyio

        waits = [wait, 0, None]
        began_at: list[float] = []
        messages: list[str | None] = []
        run = made(Catalogue())
        await whole(Throttled(products(4)), run)
        assert began_at[1] - began_at[0] == pytest.approx(300)
        assert messages[1] == "waits 0:05:00: it is throttled"
        assert run.batch_job.message is None

    async def test_what_is_no_duration_to_be_throttled_for_fails_the_run(self) -> None:
        class Throttled(Import):
            async def throttle(self, context: RowContext[Params], /) -> Any:
                return "soon"

        with pytest.raises(ConfigurationError, match="what throttle returns"):
            await whole(Throttled(products(4)), made(Catalogue()))

    async def test_while_a_row_waits_to_be_tried_again_the_batch_job_says_so(self) -> None:
        seen: list[str | None] = []

        class Flaky(ImportOneByOne):
            errors: ClassVar[ErrorPolicy] = ErrorPolicy.retry(2, wait="1 minute")

            async def process_one(self, row: Product, context: RowContext[Params], /) -> RowOutcome:
                if row.price == 5:
                    seen.append(run.batch_job.message)
                    raise RuntimeError("not now")
                return await super().process_one(row, context)

        run = made(Catalogue())
        await whole(Flaky(products(10)), run)
        assert seen[-2:] == [
            "waits 0:01:00: row 6 is tried again, as try 2 of 3: not now",
            "waits 0:01:00: row 6 is tried again, as try 3 of 3: not now",
        ]
        assert (run.batch_job.message, run.batch_job.done) == (None, 10)

    async def test_chunks_grow_to_what_a_second_takes(self) -> None:
        import anyio

        class Slow(ImportOneByOne):
            async def process_one(self, row: Product, context: RowContext[Params], /) -> RowOutcome:
                await anyio.sleep(0.02)
                return await super().process_one(row, context)

        run = made(Catalogue())
        await whole(Slow(products(500)), run)
        assert 10 <= run.saves <= 16


async def test_one_part_is_tried_by_itself() -> None:
    catalogue = Catalogue()
    run = made(catalogue)
    run.part = {"after": {"row": 30, "at": 30}, "last": 60, "until": {"row": 60, "at": 60}}
    run.start()
    strategy = await opened(Import(products(100, {40})), run)
    await strategy.process_job("batch-1")
    assert catalogue.rows() == [(f"sku-{index}", index) for index in range(30, 60) if index != 40]
    assert sorted(run.errors) == [41]
    # It is through, and another run of it finds nothing to do.
    await strategy.process_job("batch-1")
    assert (catalogue.writes(), run.batch_job.done) == (29, 30)
