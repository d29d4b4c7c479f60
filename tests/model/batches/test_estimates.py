"""How long rows will take: by the time in which runs went on, and by the last batch jobs that tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from conveyor.model.batches.estimates import Estimate, EstimateBasis, estimate_of, seconds_worked
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import BatchJobData, StatusChange

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
S = BatchStatus


def batch(done: int, seconds: int, *, dry_run: bool = False) -> BatchJobData:
    """Return a batch job that was paused for an hour within so many seconds of work."""
    end = 1000 + seconds
    way = [(0, S.CREATED), (5, S.PRE_PROCESSED), (900, S.CONFIRMED), (1000, S.PROCESSING), (end - 1, S.PAUSING)]
    way += [(end, S.PAUSED), (4600, S.CONFIRMED), (4601, S.PROCESSING), (4601, S.COMPLETED)]
    history = tuple(StatusChange(START + timedelta(seconds=at), None, status) for at, status in way)
    return BatchJobData("a", "count", S.COMPLETED, b"", START, START, dry_run=dry_run, done=done, history=history)


def test_only_the_time_in_which_a_run_went_on_counts() -> None:
    assert seconds_worked(batch(1, 30)) == 30


@pytest.mark.parametrize(
    ("earlier", "writes", "expected"),
    [
        ([], True, None),
        ([batch(0, 10), batch(10, 0)], True, None),
        ([batch(100, 10), batch(300, 10)], False, Estimate(10, 20, EstimateBasis.EARLIER_RUNS, 2)),
        ([batch(100, 10, dry_run=True), batch(300, 10)], True, Estimate(200 / 30, 30, EstimateBasis.EARLIER_RUNS, 1)),
        ([batch(100, 10, dry_run=True)], True, Estimate(20, 10, EstimateBasis.DRY_RUNS, 1)),
        ([batch(100, 10, dry_run=True)], False, None),
        ([batch(10, 10)] * 5 + [batch(1000, 1)], False, Estimate(200, 1, EstimateBasis.EARLIER_RUNS, 5)),
    ],
)
def test_the_last_ones_that_tell_are_the_estimate(
    earlier: list[BatchJobData], writes: bool, expected: Estimate | None
) -> None:
    assert estimate_of(200, earlier, dry_runs_write=writes) == expected
