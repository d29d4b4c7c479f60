"""Where rows come from, what a strategy that works on rows must have, and contexts that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import frozen

from conveyor.contracts.row_batches import NoParams, PagedRows, RowBatchStrategy
from conveyor.errors import BatchJobError, ConfigurationError
from conveyor.model.batches.policy import ErrorPolicy
from conveyor.testing.batches import FakeBatchJobs, FakeBatchRun, RunKilledError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.row_batches import RowContext, RowSource

pytestmark = pytest.mark.anyio


@frozen
class Number:
    value: int


@frozen
class Bounds:
    upto: int
    step: int = 1


class Sum(RowBatchStrategy[Number, Bounds]):
    identifier = "sum"
    batch_type = "sums"
    row = Number
    params = Bounds
    chunk_size: ClassVar[int] = 7

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.asked: list[tuple[Any, int]] = []
        self.closed = 0

    async def process_one(self, row: Number, context: RowContext[Bounds], /) -> None:
        assert context.number == row.value // context.params.step
        assert context.key == f"batch-1:{context.number}"
        with pytest.raises(ConfigurationError, match=r"ask context\.has_connection"):
            _ = context.connection
        self.seen.append(row.value)


class Generated(Sum):
    async def source(self, context: RowContext[Bounds], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
        try:
            for value in range((cursor or 0) + 1, context.params.upto + 1):
                yield Number(value), value
        finally:
            self.closed += 1


class Paged(Sum):
    def source(self, context: RowContext[Bounds], cursor: Any, /) -> RowSource[Number]:
        async def fetch(after: Any, limit: int) -> list[tuple[Number, Any]]:
            self.asked.append((after, limit))
            first = (after or 0) + 1
            last = min(context.params.upto, after + limit if after else limit)
            return [(Number(value), value) for value in range(first, last + 1)]

        return PagedRows(fetch, size=10)


async def opened(strategy: Sum, run: FakeBatchRun) -> Sum:
    await strategy.init(FakeBatchJobs(run).injector())
    run.start()
    return strategy


@pytest.mark.parametrize("kind", [Generated, Paged])
async def test_a_source_is_read_to_its_end_and_gone_on_with_after_the_last_row(kind: type[Sum]) -> None:
    run = FakeBatchRun({"upto": 100})
    run.kill_at, run.kill_after = 5, True
    first = await opened(kind(), run)
    with pytest.raises(RunKilledError):
        await first.process_job("batch-1")
    run.kill_at = None
    second = await opened(kind(), run)
    await second.process_job("batch-1")
    assert first.seen + second.seen == list(range(1, 101))
    assert run.batch_job.done == 100


async def test_pages_are_asked_for_one_after_another_from_the_cursor() -> None:
    run = FakeBatchRun({"upto": 25})
    strategy = await opened(Paged(), run)
    await strategy.process_job("batch-1")
    assert strategy.asked == [(None, 10), (10, 10), (20, 10), (25, 10)]


async def test_a_generator_is_closed_where_the_run_ends_before_it() -> None:
    run = FakeBatchRun({"upto": 100})
    run.kill_at = 2
    strategy = await opened(Generated(), run)
    with pytest.raises(RunKilledError):
        await strategy.process_job("batch-1")
    assert strategy.closed == 1


async def test_a_source_of_another_kind_is_refused() -> None:
    class Wrong(Sum):
        def source(self, context: RowContext[Bounds], cursor: Any, /) -> RowSource[Number]:
            return [(Number(1), 1)]  # type: ignore[return-value]

    run = FakeBatchRun({"upto": 1})
    strategy = await opened(Wrong(), run)
    with pytest.raises(ConfigurationError, match=r"Wrong.source must return an async iterator .* got list"):
        await strategy.process_job("batch-1")


async def test_nothing_to_do_is_done_at_once() -> None:
    run = FakeBatchRun({"upto": 0})
    strategy = await opened(Generated(), run)
    await strategy.process_job("batch-1")
    assert (run.saves, run.batch_job.done) == (0, 0)


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ({}, "missing required field `upto`"),
        ({"upto": "many"}, "upto: Expected `int`, got `str`"),
        ({"upto": 1, "stepp": 2}, "stepp: there is no such field; did you mean 'step'"),
    ],
)
async def test_a_context_that_does_not_fit_is_refused_with_the_name_of_its_field(
    context: dict[str, Any], why: str
) -> None:
    run = FakeBatchRun({"upto": 1})
    strategy = await opened(Generated(), run)
    with pytest.raises(BatchJobError, match="the context does not fit batch jobs of type 'sums'") as caught:
        await strategy.validate_context(context)
    assert why in str(caught.value)
    assert caught.value.batch_type == "sums"


async def test_a_context_that_fits_is_read() -> None:
    run = FakeBatchRun({"upto": 4, "step": 1})
    strategy = await opened(Generated(), run)
    await strategy.validate_context({"upto": 4, "step": 2})
    assert strategy.row_work.read_params(strategy, {"upto": 4}) == Bounds(4, 1)


class Neither(RowBatchStrategy[Number, NoParams]):
    identifier = "neither"
    batch_type = "neither"
    row = Number
    params = NoParams


class Rowless(Sum):
    row = int  # type: ignore[assignment]


class Sizeless(Sum):
    chunk_size: ClassVar[int] = 0


class Timeless(Sum):
    chunk_seconds: ClassVar[float] = 0.0


class Endless(Sum):
    chunk_seconds: ClassVar[float] = float("inf")


class Unsure(Sum):
    rollback_safe: ClassVar[bool] = "no"  # type: ignore[assignment]


class Lax(Sum):
    errors: ClassVar[ErrorPolicy] = "skip"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Neither, "Neither has neither process nor process_one"),
        (Rowless, r"Rowless.row must be an attrs class, got <class 'int'>"),
        (Sizeless, "chunk_size must be a whole number of at least 1, got 0"),
        (Timeless, r"chunk_seconds must be a finite number above 0, got 0\.0"),
        (Endless, "chunk_seconds must be a finite number above 0, got inf"),
        (Unsure, "rollback_safe must be True or False, got 'no'"),
        (Lax, "errors must be an ErrorPolicy, got 'skip'"),
    ],
)
async def test_a_strategy_that_cannot_work_is_refused_when_it_opens(
    kind: type[RowBatchStrategy[Any, Any]], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        await kind().init(FakeBatchJobs(FakeBatchRun({})).injector())


@pytest.mark.parametrize("wrong", [{"value": 3}, None])
async def test_a_source_that_gives_something_else_than_rows_is_named(wrong: Any) -> None:
    class Mixed(Generated):
        async def source(self, context: RowContext[Any], cursor: Any, /) -> AsyncIterator[tuple[Any, Any]]:
            async for row, at in super().source(context, cursor):
                yield (row if at < 3 else wrong), at

    strategy = await opened(Mixed(), FakeBatchRun({"upto": 5}))
    with pytest.raises(ConfigurationError, match=f"Mixed.source must give rows .* got one of {type(wrong).__name__}"):
        await strategy.pre_process_batch_job("batch-1")


async def test_a_source_of_ones_own_has_no_template() -> None:
    strategy = await opened(Generated(), FakeBatchRun({"upto": 1}))
    assert await strategy.build_template() == ""
