"""A batch job that is killed at any step comes to the same; and a strategy of which that is not so is found."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import frozen

from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import BadRowError, BatchJobError
from conveyor.model.batches.policy import ErrorPolicy
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import RowOutcome
from conveyor.testing.batches import BatchTrial, prove_resume, run_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.row_batches import RowContext

pytestmark = pytest.mark.anyio


@frozen
class Number:
    value: int


@frozen
class Bounds:
    upto: int


class Notes(RowBatchStrategy[Number, Bounds]):
    """Notes each number under its key, so that a repetition changes nothing; one in ten is bad."""

    identifier = "notes"
    batch_type = "notes"
    row = Number
    params = Bounds
    chunk_size: ClassVar[int] = 20
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    def __init__(self, noted: dict[str, int]) -> None:
        self.noted = noted

    async def source(self, context: RowContext[Bounds], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
        for value in range((cursor or 0) + 1, context.params.upto + 1):
            yield Number(value), value

    async def process_one(self, row: Number, context: RowContext[Bounds], /) -> RowOutcome:
        if row.value % 10 == 3:
            raise ValueError("ends in three")
        self.noted[context.key] = row.value
        return RowOutcome.CREATED


class Counting(Notes):
    """Counts, which is wrong where a row comes twice."""

    async def process_one(self, row: Number, context: RowContext[Bounds], /) -> RowOutcome:
        self.noted["sum"] = self.noted.get("sum", 0) + row.value
        return RowOutcome.CREATED


@asynccontextmanager
async def begin_notes(kind: type[Notes] = Notes) -> AsyncIterator[BatchTrial]:
    noted: dict[str, int] = {}

    async def read() -> dict[str, int]:
        return dict(noted)

    yield BatchTrial(lambda: kind(noted), {"upto": 100}, read)


async def test_a_batch_job_runs_to_its_end() -> None:
    noted: dict[str, int] = {}
    end = await run_batch(lambda: Notes(noted), {"upto": 100})
    assert end.runs == 1
    assert end.batch_job.status is BatchStatus.COMPLETED_WITH_ERRORS
    assert (end.batch_job.done, end.batch_job.total) == (100, 100)
    assert [error.row_number for error in end.errors] == list(range(3, 101, 10))
    assert len(noted) == 90


@pytest.mark.parametrize("loses_step", [False, True])
async def test_a_program_that_is_killed_again_and_again_comes_to_an_end(*, loses_step: bool) -> None:
    noted: dict[str, int] = {}
    end = await run_batch(lambda: Notes(noted), {"upto": 100}, crash_after=2, crashes=2, loses_step=loses_step)
    assert end.runs == 3
    assert end.batch_job.done == 100
    assert noted == {f"batch-1:{value}": value for value in range(1, 101) if value % 10 != 3}


async def test_resume_is_proved_at_every_step() -> None:
    assert await prove_resume(begin_notes) >= 8


async def test_a_strategy_that_repeats_what_it_must_not_is_found() -> None:
    with pytest.raises(AssertionError, match=r"killed before step 1 was saved: .*was written"):
        await prove_resume(lambda: begin_notes(Counting))


async def test_a_context_that_does_not_fit_creates_nothing() -> None:
    with pytest.raises(BatchJobError, match="upto: Expected `int`"):
        await run_batch(lambda: Notes({}), {"upto": "x"})


async def test_a_batch_job_that_fails_before_anything_is_written_says_what_was_found() -> None:
    class Strict(Notes):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(most=2)

        async def check(self, row: Number, context: RowContext[Bounds], /) -> None:
            if row.value % 10 == 3:
                raise BadRowError("ending", "ends in three", "value")

    noted: dict[str, int] = {}
    end = await run_batch(lambda: Strict(noted), {"upto": 100})
    assert end.batch_job.status is BatchStatus.FAILED
    assert end.batch_job.error == ("TooManyBadRowsError: batch job 'batch-1' has 10 bad rows, and may have 2 at most")
    assert noted == {}
    assert end.result is not None
    assert end.result["preview"]["errors"] == {"value": {"ending": 10}}
