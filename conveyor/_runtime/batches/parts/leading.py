"""The run that leads the parts of a batch job: it divides it, works on parts that nobody works on, and waits.

It is the job of the batch job itself that leads, so that it counts as one where only so many run at once, and holds its
place until the last part is done. A worker with room for one job is enough: what no other job has begun by then, the
job that leads does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor._runtime.batches.faults import is_only
from conveyor._runtime.transient import until_available
from conveyor._services.batches.jobs import new_part_work
from conveyor.codec import encode_json
from conveyor.errors import BatchPartFailedError, BatchRunLostError, BatchStoppedError
from conveyor.model.batches.parts import NewBatchPart
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._runtime.batches.parts.working import PartWork
    from conveyor._runtime.batches.run import Run
    from conveyor._runtime.batches.service import BatchRuns
    from conveyor._runtime.wakeup import Wakeup
    from conveyor._services.batches.strategies import Strategy
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.job import JobData, NewJob

__all__ = ["PartLeader"]

# Parts may be worked on by other programs, so it looks so often how far they are.
LOOK_SECONDS: Final = 1.0


class PartLeader:
    """Leads the parts of the batch jobs of one type."""

    def __init__(self, runs: BatchRuns, strategy: Strategy, work: PartWork) -> None:
        """Bind to an app, a strategy, and what works on single parts."""
        self._runs = runs
        self._services = runs.services
        self._strategy = strategy
        self._work = work

    async def lead(self, run: Run, spans: Sequence[Any]) -> None:
        """Divide a batch job, unless it is, and see to it that all its parts are done.

        Raises:
            BatchPartFailedError: a part failed in a job of its own.
            BatchStoppedError, BatchRunLostError: as `BatchRun.save`; no part is worked on any more then, unless the
                worker stops: those of other workers go on.
            Exception: what the strategy raises of a part that the job of this run works on.
        """
        await self._divide(run, spans)
        own = await self._employ(run)
        with self._runs.listening(run.batch_job.id) as bell:
            try:
                while open_parts := await self._open_parts(run):
                    await run.check_stopped()
                    part = _vacant(run, open_parts, await self._jobs(open_parts), own)
                    if part is None or not await self._work_on(run, part):
                        await bell.wait(LOOK_SECONDS)
            except Exception as exc:
                if is_only(exc, BatchStoppedError):
                    await self._see_out(run, bell)
                raise

    async def _divide(self, run: Run, spans: Sequence[Any]) -> None:
        # Made once: when the answer is lost, the same is asked for again.
        new = [
            NewBatchPart(number, encode_json(span), self._job(run, number) if number > 1 else None)
            for number, span in enumerate(spans, 1)
        ]
        await until_available(
            lambda: self._work.store.divide_batch(run.batch_job.id, run.token, new),
            "divide a batch job",
            self._runs.outage,
        )

    async def _employ(self, run: Run) -> set[int]:
        """Give each part that failed or was left another job; return those that this job works on itself."""
        parts = await self._open_parts(run)
        jobs = await self._jobs(parts)
        own = {part.number for part in parts if part.job_id == run.job.job.id}
        for part in parts:
            if part.number in own or not _is_left(part, jobs):
                continue
            if own or part.error is not None:
                await self._assign(run, part.number, self._job(run, part.number))
            else:
                own.add(part.number)
        return own

    async def _assign(self, run: Run, number: int, job: NewJob) -> None:
        await until_available(
            lambda: self._work.store.assign_part(run.batch_job.id, run.token, number, job),
            "give a part of a batch job to another job",
            self._runs.outage,
        )

    async def _work_on(self, run: Run, part: BatchPart) -> bool:
        """Work on a part; False: its own job began meanwhile, or this run is lost itself, which the next look tells."""
        try:
            await self._work.work(run.batch_job, part, run.job)
        except Exception as exc:
            if not is_only(exc, BatchRunLostError):
                raise
            return False
        return True

    async def _see_out(self, run: Run, bell: Wakeup) -> None:
        """Wait until no job works on a part; each stops within a chunk. A worker that stops waits for none."""
        while not run.job.stopping:
            parts = [part for part in await self._open_parts(run) if part.job_id != run.job.job.id]
            jobs = await self._jobs(parts)
            if not any(job.state is JobState.ACTIVE for job in jobs.values()):
                return
            await bell.wait(LOOK_SECONDS)

    async def _open_parts(self, run: Run) -> list[BatchPart]:
        parts = await until_available(
            lambda: self._work.store.get_parts(run.batch_job.id), "look at parts of a batch job", self._runs.outage
        )
        return [part for part in parts if not part.is_done]

    async def _jobs(self, parts: Sequence[BatchPart]) -> Mapping[str, JobData]:
        store = self._services.store.jobs
        ids = [part.job_id for part in parts]
        return await until_available(lambda: store.find_jobs(ids), "look at jobs of a batch job", self._runs.outage)

    def _job(self, run: Run, number: int) -> NewJob:
        return new_part_work(self._services, self._strategy, run.batch_job.id, number)


def _is_left(part: BatchPart, jobs: Mapping[str, JobData]) -> bool:
    job = jobs.get(part.job_id)
    return part.error is not None or job is None or job.state.is_settled


def _vacant(run: Run, parts: Sequence[BatchPart], jobs: Mapping[str, JobData], own: set[int]) -> BatchPart | None:
    """Return a part that is this run's, or nobody's: its job waits yet, or is settled without having ended it."""
    vacant = None
    for part in parts:
        if part.error is not None:
            raise BatchPartFailedError(run.batch_job.id, part.number, part.error)
        job = None if part.number in own or part.job_id == run.job.job.id else jobs.get(part.job_id)
        if job is not None and job.state is JobState.FAILED:
            raise BatchPartFailedError(run.batch_job.id, part.number, f"its job failed: {job.error}")
        if vacant is None and (job is None or job.state.is_settled or _is_put_off(job)):
            vacant = part
    return vacant


def _is_put_off(job: JobData) -> bool:
    """Whether nobody has begun yet: it waits, or went to a worker that did not know what to do with it."""
    return job.state is JobState.WAITING or (job.state is JobState.DELAYED and not job.attempts_made)
