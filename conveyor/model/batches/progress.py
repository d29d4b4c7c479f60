"""How far a batch job is, how fast it is, and how long it may still take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
    from conveyor.model.batches.values import BatchJobData

__all__ = ["RUNNING_STATUSES", "BatchProgress", "progress_of"]

# In these a run goes on, so that there is a rate.
RUNNING_STATUSES: Final = frozenset({BatchStatus.PROCESSING, BatchStatus.PAUSING, BatchStatus.CANCELLING})


@frozen
class BatchProgress:
    """How far a batch job is.

    Attributes:
        done: how many rows are through.
        total: how many there are, where it is known.
        per_second: how many rows the run that goes on has done in a second so far; None: there is none, or it has done
            none yet.
        seconds_left: how long it takes to do the rest at that rate; None: nobody can tell.
        message: what it is at, in words.
    """

    done: int
    total: int | None = None
    per_second: float | None = None
    seconds_left: float | None = None
    message: str | None = None


def progress_of(batch: BatchJobData) -> BatchProgress:
    """Return how far a batch job is, by what was last written of it: the store's clock alone counts.

    The rate is that of the run that goes on: (done - done when it began) / (last write - beginning). The rest takes
    (total - done) / rate.
    """
    rate = _rate(batch)
    left = None
    if rate is not None and batch.total is not None:
        left = max(batch.total - batch.done, 0) / rate
    return BatchProgress(batch.done, batch.total, rate, left, batch.message)


def _rate(batch: BatchJobData) -> float | None:
    if batch.run_started_at is None or batch.status not in RUNNING_STATUSES:
        return None
    seconds = (batch.updated_at - batch.run_started_at).total_seconds()
    done = batch.done - batch.run_started_from
    return done / seconds if seconds > 0 and done > 0 else None
