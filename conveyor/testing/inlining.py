"""Inline jobs: each runs while it is being added, in the task that adds it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor._runtime.runs import Runs
from conveyor.contracts.store import Store
from conveyor.model.queries import Added, Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.states import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._app import Conveyor
    from conveyor._services.services import Services
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["inline"]

LOCK_DURATION: Final = timedelta(days=365)


@asynccontextmanager
async def inline(app: Conveyor, *, store: str = "memory://", raise_on_failure: bool = True) -> AsyncIterator[Conveyor]:
    """Open an app so that a job runs, to its end, while it is being added: for unit tests, without a worker.

    A job that is put off (`delay`, a back-off) stays delayed. A queue without a handler keeps its jobs.

    Args:
        app: the app, not open; whatever store it names is left alone.
        store: the store to use in its place, empty unless its URL says otherwise.
        raise_on_failure: let what a handler raises come out of ``add``; the attempt is kept all the same.
    """
    before = app._given.store, app._given.job_queue  # noqa: SLF001 - what the app was made with; it is put back below
    app._given.store, app._given.job_queue = store, _InlineQueue(app._services, raise_on_failure)  # noqa: SLF001 - as above
    try:
        async with app:
            yield app
    finally:
        app._given.store, app._given.job_queue = before  # noqa: SLF001 - as above


class _InlineQueue:
    """A job queue strategy that fetches, runs and settles in the task that adds."""

    _store: Store

    def __init__(self, services: Services, raise_on_failure: bool) -> None:
        self._services = services
        self._raise_on_failure = raise_on_failure
        self._fetch_number = 0
        self._runs = Runs(services)
        self._session = SessionInfo(self._runs.session_id, "inline", 0, "inline")

    async def init(self, injector: Injector, /) -> None:
        self._store = injector.get(Store)
        await self._store.sessions.open(self._session, LOCK_DURATION)

    async def destroy(self) -> None:
        await self._runs.close()
        await self._store.sessions.close(self._session.id)

    @property
    def store(self) -> Store:
        return self._store

    @property
    def has_deduplication(self) -> bool:
        return self._store.capabilities.has_deduplication

    async def add(self, job: NewJob, /) -> AddReceipt:
        return (await self.add_many([job]))[0]

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        receipts = await self._store.jobs.save_jobs(jobs)
        added = {job.queue_name for job, answer in zip(jobs, receipts, strict=True) if answer.outcome is Added.ADDED}
        for queue_name in added & self._services.handlers.queue_names().keys():
            await self._run_waiting(queue_name)
        return receipts

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """A worker may be open beside it, and has nothing to do."""

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        """Nothing was started."""
        return ()

    async def _run_waiting(self, queue_name: str) -> None:
        while True:
            self._fetch_number += 1
            jobs = await self._store.jobs.fetch_jobs(
                [Want(queue_name, 1)], self._session.id, LOCK_DURATION, fetch_number=self._fetch_number
            )
            if not jobs:
                return
            await self._run(jobs[0])

    async def _run(self, job: JobData) -> None:
        end = await self._runs.run_quietly(job)
        logs, progress = self._runs.outbox.take_reports()
        await self._store.jobs.set_progress(progress)
        await self._store.jobs.append_logs(logs)
        self._runs.outbox.confirm_reports()
        await self._store.jobs.settle_jobs([end.settlement])
        has_failed = end.settlement.command in (Command.FAIL, Command.GIVE_UP)
        if self._raise_on_failure and has_failed and end.error is not None:
            raise end.error
