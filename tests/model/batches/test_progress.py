"""How far a batch job is, how fast, and how long it may still take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conveyor.model.batches.progress import BatchProgress, progress_of
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import BatchJobData

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def batch(**fields: Any) -> BatchJobData:
    """Return a batch job whose run began at 40 rows, ten seconds before it was last written."""
    known: dict[str, Any] = {
        "run_started_at": START,
        "run_started_from": 40,
        "done": 60,
        "total": 100,
        "message": "half-way",
        **fields,
    }
    return BatchJobData(
        "a", "count", known.pop("status", BatchStatus.PROCESSING), b"{}", START, START + timedelta(seconds=10), **known
    )


def test_the_rate_is_that_of_the_run_that_goes_on() -> None:
    assert progress_of(batch()) == BatchProgress(60, 100, 2.0, 20.0, "half-way")


@pytest.mark.parametrize(
    ("fields", "per_second", "seconds_left"),
    [
        ({"total": None}, 2.0, None),
        ({"done": 120}, 8.0, 0.0),
        ({"done": 40}, None, None),
        ({"run_started_at": None}, None, None),
        ({"run_started_at": START + timedelta(seconds=10)}, None, None),
        ({"status": BatchStatus.PAUSED}, None, None),
        ({"status": BatchStatus.COMPLETED}, None, None),
        ({"status": BatchStatus.CANCELLING}, 2.0, 20.0),
    ],
)
def test_what_nobody_can_tell_is_left_out(
    fields: dict[str, Any], per_second: float | None, seconds_left: float | None
) -> None:
    found = progress_of(batch(**fields))
    assert (found.per_second, found.seconds_left) == (per_second, seconds_left)
