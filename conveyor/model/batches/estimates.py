"""How long rows will take, by what earlier batch jobs of the type took."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from attrs import frozen

from conveyor.model.batches.progress import RUNNING_STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.batches.values import BatchJobData

__all__ = ["MOST_RUNS", "Estimate", "EstimateBasis", "estimate_of", "seconds_worked"]

# The last ones tell: what rows need changes with the program, and with what is there already.
MOST_RUNS: Final = 5


class EstimateBasis(StrEnum):
    """What an estimate is made from."""

    EARLIER_RUNS = "earlier_runs"
    # Nothing was kept of those, but rows were written, and rolled back.
    DRY_RUNS = "dry_runs"


@frozen
class Estimate:
    """How long rows will take.

    Attributes:
        seconds: that long.
        per_second: so many rows were done in a second.
        basis: by which batch jobs.
        runs: how many of them.
    """

    seconds: float
    per_second: float
    basis: EstimateBasis
    runs: int


def estimate_of(
    rows: int, earlier: Sequence[BatchJobData], *, dry_runs_write: bool, most: int = MOST_RUNS
) -> Estimate | None:
    """Return how long rows will take; None: no earlier batch job tells.

    The rate is that of all rows of the last completed ones in all the time in which runs of them went on.

    Args:
        rows: how many there are.
        earlier: batch jobs of the type that are completed, the newest first; those that did nothing are left out.
        dry_runs_write: whether dry runs of the type do all that others do, and roll it back. They count where there
            are no others.
        most: at most so many of the newest count.
    """
    told = [batch for batch in earlier if batch.done > 0 and seconds_worked(batch) > 0]
    real = [batch for batch in told if not batch.dry_run]
    meant = (real or (told if dry_runs_write else []))[:most]
    if not meant:
        return None
    rate = sum(batch.done for batch in meant) / sum(seconds_worked(batch) for batch in meant)
    basis = EstimateBasis.EARLIER_RUNS if real else EstimateBasis.DRY_RUNS
    return Estimate(rows / rate, rate, basis, len(meant))


def seconds_worked(batch: BatchJobData) -> float:
    """Return for how many seconds runs of a batch job that has ended went on, its pauses left out."""
    lines = batch.history
    spans = [after.at - line.at for line, after in pairwise(lines) if line.after in RUNNING_STATUSES]
    return sum(span.total_seconds() for span in spans)
