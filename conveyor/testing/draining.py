"""Draining: a worker that runs until nothing is left to do, and tells what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

import anyio
from attrs import frozen

from conveyor.errors import JobFailedError
from conveyor.model.states import JobState
from conveyor.testing.stranded import find_stranded, stranded_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._app import Conveyor
    from conveyor._handles.queue import Queue
    from conveyor.model.job import JobData
    from conveyor.model.worker_options import WorkerKeywords

__all__ = ["Drained", "drain"]

LOOK_SECONDS: Final = 0.005
_BUSY: Final = (JobState.WAITING, JobState.ACTIVE)


@frozen
class Drained:
    """What became of a drained app's jobs.

    Attributes:
        completed, failed, cancelled: how many jobs came to these ends meanwhile, as far as they are kept.
        delayed: how many jobs are left for later.
        failures: the jobs that failed.
    """

    completed: int
    failed: int
    cancelled: int
    delayed: int
    failures: Sequence[JobData] = ()


async def drain(
    app: Conveyor,
    *queue_names: str,
    with_delayed: bool = False,
    raise_on_failure: bool = True,
    **options: Unpack[WorkerKeywords],
) -> Drained:
    """Run a worker until no job of these queues waits, runs or is due; jobs that jobs add are run too.

    Args:
        app: an open app.
        queue_names: the queues; none: every queue that has a handler.
        with_delayed: run the delayed ones too, at once.
        raise_on_failure: raise when a job failed for good.
        options: of the worker; see `WorkerOptions`.

    Raises:
        JobFailedError: a job failed; an exception group of them where several did.
        ConfigurationError: jobs wait for children in queues that are not drained.
    """
    names = queue_names or tuple(app._services.handlers.queue_names())  # noqa: SLF001 - what the worker serves
    queues = [app.queue(name) for name in names]
    before = await _count(queues)
    async with app.worker(*queue_names, **options) as _:
        stranded = await _until_quiet(queues, with_delayed=with_delayed)
    if stranded:
        raise stranded_error(names, stranded)
    after = await _count(queues)
    drained = Drained(
        after[JobState.COMPLETED] - before[JobState.COMPLETED],
        after[JobState.FAILED] - before[JobState.FAILED],
        after[JobState.CANCELLED] - before[JobState.CANCELLED],
        after[JobState.DELAYED],
        [job for queue, counts in zip(queues, before.by_queue, strict=True) for job in await _failures(queue, counts)],
    )
    if raise_on_failure:
        _raise(drained.failures)
    return drained


@frozen
class _Counts:
    """How many jobs are in each state, over some queues."""

    by_queue: Sequence[Mapping[JobState, int]]

    def __getitem__(self, state: JobState) -> int:
        return sum(counts[state] for counts in self.by_queue)


async def _count(queues: Sequence[Queue]) -> _Counts:
    return _Counts([await queue.counts() for queue in queues])


async def _until_quiet(queues: Sequence[Queue], *, with_delayed: bool) -> frozenset[str]:
    """Wait until nothing is left to do; return the other queues that have what jobs of these wait for."""
    seen: tuple[_Counts, frozenset[str]] | None = None
    while True:
        looked = await _look(queues, with_delayed=with_delayed)
        # Queues are looked at one after another, and a job may add one where the look has been already: only
        # two quiet looks that saw the same say that nothing happened in between.
        if looked is not None and looked == seen:
            return looked[1]
        seen = looked
        await anyio.sleep(LOOK_SECONDS)


async def _look(queues: Sequence[Queue], *, with_delayed: bool) -> tuple[_Counts, frozenset[str]] | None:
    """Return what there is where nothing is to be done; None: something is."""
    if await _is_busy(queues, with_delayed=with_delayed):
        return None
    counts = await _count(queues)
    stranded: frozenset[str] | None = frozenset()
    if counts[JobState.WAITING_CHILDREN]:
        store = queues[0]._services.store  # noqa: SLF001 - there is no queue without one
        stranded = await find_stranded(store, queues, with_delayed=with_delayed)
    return None if stranded is None else (counts, stranded)


async def _is_busy(queues: Sequence[Queue], *, with_delayed: bool) -> bool:
    if with_delayed:
        for queue in queues:
            await queue.promote_jobs()
    for queue in queues:
        counts = await queue.counts()
        if any(counts[state] for state in _BUSY) or (counts[JobState.DELAYED] and await _has_due(queue)):
            return True
    return False


async def _has_due(queue: Queue) -> bool:
    jobs = queue._services.store.jobs  # noqa: SLF001 - whether a job is due, the store's clock says
    return await jobs.promote_delayed_jobs([queue.name]) > 0


async def _failures(queue: Queue, before: Mapping[JobState, int]) -> list[JobData]:
    # Settled jobs come newest first.
    count = await queue.count(JobState.FAILED) - before[JobState.FAILED]
    return [job.data for job in await queue.jobs(JobState.FAILED, 0, max(count, 0))]


def _raise(failures: Sequence[JobData]) -> None:
    errors = [
        JobFailedError(
            job.id,
            job.state,
            str(job.error) if job.error else "no reason was given",
            queue_name=job.queue_name,
            traceback=job.error.traceback if job.error else "",
        )
        for job in failures
    ]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup(f"{len(errors)} jobs failed", errors)
