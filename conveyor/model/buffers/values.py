"""The values of buffers: jobs in them, how full they are, and what a flush does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, frozen

from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.deduplication import Deduplication
    from conveyor.model.job import NewJob
    from conveyor.model.options import JobOptions
    from conveyor.model.queries import AddReceipt

__all__ = ["BufferPlace", "BufferSize", "BufferedJob", "FlushPlan", "KeptJob", "shown_as", "timed_from", "traces_of"]

_SAME: Final = object()
_NO_WAIT: Final = timedelta(0)
_END: Final = datetime.max.replace(tzinfo=UTC)


@define
class BufferedJob:
    """A job as `collect` and `reduce` of a buffer see it.

    Treat it as frozen: it is not, because one is made for each job that is added.

    Attributes:
        data: its arguments as JSON-like values. To change them, make a copy: `merging`, `with_data`.
        added_at: when it was added.
        merged_ids: the jobs whose work this one does as well.
        run_at: when it becomes due; None: it is.
        expires_at: until when it must have begun; None: it never expires.
        deduplication: what it must not double; None: nothing.
    """

    id: str
    queue_name: str
    name: str
    data: Any
    options: JobOptions
    added_at: datetime
    merged_ids: tuple[str, ...] = ()
    run_at: datetime | None = None
    expires_at: datetime | None = None
    deduplication: Deduplication | None = None

    def with_data(self, data: Any) -> BufferedJob:
        """Return a copy with other arguments."""
        return evolve(self, data=data)

    def merging(self, *others: BufferedJob, data: Any = _SAME) -> BufferedJob:
        """Return a copy that does the work of the others, too, with these arguments (without: with its own)."""
        gone = [one_id for other in others for one_id in (other.id, *other.merged_ids)]
        kept = self.data if data is _SAME else data
        return evolve(self, data=kept, merged_ids=(*self.merged_ids, *gone))


@frozen
class KeptJob:
    """A job in a buffer: what is to be added, with its times made absolute, and when it came there."""

    job: NewJob
    added_at: datetime


@frozen
class BufferSize:
    """How full a buffer is: jobs, bytes of their arguments, and when the oldest and the newest came.

    `taken_until`: a flush has them until then, or for longer where it lives; None: none has, or nobody can tell.
    """

    jobs: int
    bytes: int
    oldest_at: datetime
    newest_at: datetime
    taken_until: datetime | None = None


@frozen
class BufferPlace:
    """Where a job went that was added to a buffer: it is there still (`kept`), or was merged into another."""

    buffer_id: str = ""
    kept: KeptJob | None = None
    merged_into: str | None = None


@frozen
class FlushPlan:
    """What becomes of the jobs that were taken from a buffer.

    Attributes:
        taken: the ids of all of them.
        jobs: those to add, in their order.
        merged: the job that does the work of another, by the other's id. One that goes on with other arguments than
            it was added with stands here, too, beside itself, so that the same add again is known.
        failure: why the jobs fail as soon as they are added; None: they wait as any.
        refused: the ids of those that the job queue refused; they are kept as failed already, and none of `jobs`.
    """

    taken: Sequence[str]
    jobs: Sequence[NewJob]
    merged: Mapping[str, str]
    failure: str | None = None
    refused: Sequence[str] = ()


def timed_from(job: NewJob, now: datetime) -> NewJob:
    """Return a job as a buffer keeps it: what it counts from its add is a time by then."""
    if job.delay is None and not isinstance(job.expires, timedelta):
        # Nearly all: nothing is counted, and a copy costs more than a whole add.
        return job
    run_at, expires = job.run_at, job.expires
    if job.delay is not None and job.delay > _NO_WAIT:
        run_at = _later(now, job.delay)
    if isinstance(expires, timedelta):
        expires = _later(now, expires)
    return evolve(job, delay=None, run_at=run_at, expires=expires)


def shown_as(job: NewJob, data: Any, added_at: datetime, now: datetime) -> BufferedJob:
    """Return a job whose times are times (see `timed_from`) as `collect` and `reduce` see it now."""
    run_at = job.run_at if job.run_at is not None and job.run_at > now else None
    expires_at = job.expires if isinstance(job.expires, datetime) else None
    return BufferedJob(
        job.id, job.queue_name, job.name, data, job.options, added_at, (), run_at, expires_at, job.deduplication
    )


def _later(now: datetime, delay: timedelta) -> datetime:
    try:
        return now + delay
    except OverflowError:
        return _END


def traces_of(plan: FlushPlan, receipts: Sequence[AddReceipt]) -> dict[str, str]:
    """Return the job that does the work of each taken one, where that is another, or has other arguments.

    A job that met the deduplication key of another went into that one, and so did all that it was to do.
    """
    went = {job.id: receipt.job_id for job, receipt in zip(plan.jobs, receipts, strict=True)}
    found = {job_id: went.get(into, into) for job_id, into in plan.merged.items()}
    taken = set(plan.taken)
    for job, receipt in zip(plan.jobs, receipts, strict=True):
        if receipt.outcome is not Added.ADDED and job.id in taken:
            found.setdefault(job.id, receipt.job_id)
    return found
