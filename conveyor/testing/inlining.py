"""Inline jobs: each runs while it is being added, in the task that adds it."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.board import Board
from conveyor._runtime.deadlines import Deadlines
from conveyor._runtime.endings import Endings
from conveyor._runtime.executor import Executor, RunMeans
from conveyor._runtime.handler_threads import HandlerThreads
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.wakeup import Wakeup
from conveyor.contracts.store import Store
from conveyor.model.outcomes import Failed, Outcome
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
    before = app._store, app._job_queue  # noqa: SLF001 - what the app was made with; it is put back below
    app._store, app._job_queue = store, _InlineQueue(app._services, raise_on_failure)  # noqa: SLF001 - as above
    try:
        async with app:
            yield app
    finally:
        app._store, app._job_queue = before  # noqa: SLF001 - as above


class _InlineQueue:
    """A job queue strategy that fetches, runs and settles in the task that adds."""

    _store: Store
    _executor: Executor

    def __init__(self, services: Services, raise_on_failure: bool) -> None:
        self._services = services
        self._raise_on_failure = raise_on_failure
        self._fetch_number = 0
        self._session = SessionInfo(secrets.token_hex(16), "inline", 0, "inline")
        self._outbox = Outbox(Wakeup())

    async def init(self, injector: Injector, /) -> None:
        self._store = injector.get(Store)
        self._executor = Executor(
            self._services.handlers,
            self._services.middleware,
            Endings(self._services.curves, max_stalled=0),  # nobody is there to run a job again that stalled
            Board(self._session.id, self._outbox),
            Deadlines(),
            threads=HandlerThreads(anyio.CapacityLimiter(1000)),
            means=RunMeans(get_state=lambda: self._services.state, payload_codec=self._services.payload_codec),
        )
        await self._store.sessions.open(self._session, LOCK_DURATION)

    async def destroy(self) -> None:
        await self._executor.processes.close()
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

    async def stop(self, queue_name: str, process: ProcessJob, /) -> None:
        """Nothing was started."""

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
        outcome = await self._outcome(job)
        logs, progress = self._outbox.take_reports()
        await self._store.jobs.set_progress(progress)
        await self._store.jobs.append_logs(logs)
        self._outbox.confirm_reports()
        settlement = self._executor.settlement(job, outcome)
        await self._store.jobs.settle_jobs([settlement])
        has_failed = settlement.command in (Command.FAIL, Command.GIVE_UP)
        if self._raise_on_failure and has_failed and isinstance(outcome, Failed):
            raise outcome.error

    async def _outcome(self, job: JobData) -> Outcome:
        timeout = job.options.timeout
        try:
            with anyio.fail_after(None if timeout is None else timeout.total_seconds()):
                return await self._executor.process(job)
        except TimeoutError as exc:
            return Failed(TimeoutError(f"the run took longer than {timeout}").with_traceback(exc.__traceback__))
