"""One simulated run: processes, clients and a nemesis over one store, and peace in the end."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor import Conveyor
from conveyor._builtin.memory.store import MemoryStore
from conveyor.errors import InvalidJobStateError, JobNotFoundError, StoreUnavailableError
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from tests.simulation.faults import Line
from tests.simulation.history import History
from tests.simulation.plan import HORIZON_SECONDS, LOCK_SECONDS, Plan, PlannedJob, make_plan
from tests.simulation.process import PLUGINS, Process
from tests.simulation.scheduler import Freezer, run_seeded
from tests.simulation.truth import NotedJobs, NotedSessions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["simulate"]

# By so long after the faults have ended, and the time the handlers take, everything must be settled.
PATIENCE_SECONDS: Final = 60.0
START: Final = datetime(2030, 1, 1, tzinfo=UTC)


def simulate(seed: int, plan: Plan | None = None) -> tuple[Plan, History]:
    """Run what a seed decides; return what was planned and what happened."""
    plan = plan or make_plan(seed)
    history = History()
    with _silence():
        run_seeded(seed, lambda: _World(plan, history).run())
    return plan, history


@contextmanager
def _silence() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


class _WallClock:
    """The store's time: the run's own, and what the nemesis added."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return START + timedelta(seconds=anyio.current_time()) + self.offset


class _World:
    def __init__(self, plan: Plan, history: History) -> None:
        self._plan = plan
        self._history = history
        self._draw = Random(plan.seed + 1)
        self._clock = _WallClock()
        self._store = MemoryStore(self._clock)
        self._jobs = NotedJobs(self._store, history)
        self._facets = {"jobs": self._jobs, "sessions": NotedSessions(self._store, history)}
        self._facets["queues"] = self._store.queues
        self._numbers = count(1)
        self._living: list[Process] = []
        self._killed: list[Process] = []
        self._lines: list[Line] = []
        self._client = Conveyor(self._line("client"), clock=self._clock, plugins=PLUGINS)

    async def run(self) -> None:
        self._freezer = Freezer()
        async with anyio.create_task_group() as self._tasks:
            async with self._client, anyio.create_task_group() as clients:
                for job in self._plan.jobs:
                    clients.start_soon(self._add, job)
                if self._plan.is_calm:
                    await anyio.sleep(1)
                for _ in range(self._plan.processes):
                    self._begin_process()
                self._start_nemesis(clients)
            await self._heal()
            await self._wait_for_peace()
            await self._end()
        self._history.final.update(await self._store.jobs.find_jobs([job.id for job in self._plan.jobs]))

    def _line(self, name: str) -> Line:
        line = Line(name, self._facets, self._plan, self._draw, store=self._store)
        self._lines.append(line)
        return line

    def _begin_process(self) -> None:
        name = f"w{next(self._numbers)}"
        process = Process(name, self._line(name), self._plan, self._clock, self._history)
        self._living.append(process)
        self._tasks.start_soon(process.run)

    async def _add(self, job: PlannedJob) -> None:
        await anyio.sleep(job.add_at)
        options = JobOptions(attempts=job.attempts, priority=job.priority, timeout=job.timeout_seconds)
        delay = timedelta(seconds=job.delay_seconds) if job.delay_seconds else None
        new = NewJob(job.id, job.queue_name, "work", b"{}", options, delay)
        await _until_answered(lambda: self._client.queue(job.queue_name).add_many([new]))
        self._history.note("acknowledged", "client", job.id)
        if job.cancel_at is not None:
            await anyio.sleep(max(0.0, job.cancel_at - anyio.current_time()))
            await _until_answered(lambda: self._cancel(job))

    async def _cancel(self, job: PlannedJob) -> None:
        try:
            await (await self._client.jobs.get(job.id)).cancel()
        except (InvalidJobStateError, JobNotFoundError):
            return

    def _start_nemesis(self, tasks: Any) -> None:
        plan = self._plan
        deeds = [(plan.freezes, self._freeze), (plan.kills, self._kill), (plan.cuts, self._cut)]
        deeds += [(plan.restarts, self._restart), (plan.jumps, self._jump)]
        for times, deed in deeds:
            for _ in range(times):
                tasks.start_soon(self._do_once, deed, self._draw.uniform(0, HORIZON_SECONDS))

    async def _do_once(self, deed: Any, at: float) -> None:
        await anyio.sleep(at)
        victims = [process for process in self._living if not process.is_gone]
        if victims:
            await deed(self._draw.choice(victims))

    async def _freeze(self, process: Process) -> None:
        if process.name in self._freezer.frozen:
            return
        self._history.note("frozen", process.name)
        self._freezer.freeze(process.name)
        await anyio.sleep(self._draw.uniform(0.1, 2.5 * LOCK_SECONDS))
        if process in self._living:
            self._history.note("thawed", process.name)
            self._freezer.thaw(process.name)

    async def _kill(self, process: Process) -> None:
        """End it as SIGKILL does: nothing of it ever runs again."""
        self._history.note("killed", process.name)
        self._freezer.freeze(process.name)
        process.line.is_dead = True
        self._living.remove(process)
        self._killed.append(process)
        await anyio.sleep(self._draw.uniform(0, 5))
        self._begin_process()

    async def _cut(self, process: Process) -> None:
        """Cut the line: at once, or when the answer of a fetch is on its way; both ways, or one."""
        line = process.line
        is_cut = anyio.Event()

        def cut_off() -> None:
            if line.connected.is_set() and not line.is_dead:
                self._history.note("cut_off", process.name)
                line.cut_off(is_one_way=self._draw.random() < 0.3)
                is_cut.set()

        if self._draw.random() < 0.5:
            cut_off()
        else:
            line.on_fetched = cut_off
        with anyio.move_on_after(HORIZON_SECONDS - anyio.current_time()):
            await is_cut.wait()
            await anyio.sleep(self._draw.uniform(0.1, 2.5 * LOCK_SECONDS))
        line.on_fetched = None
        if is_cut.is_set():
            line.connect()
            self._history.note("connected", process.name)

    async def _restart(self, process: Process) -> None:
        self._history.note("stopping", process.name)
        process.stop()
        await anyio.sleep(self._draw.uniform(0, 5))
        self._begin_process()

    async def _jump(self, process: Process) -> None:
        seconds = self._draw.uniform(1, 3 * LOCK_SECONDS)
        self._history.note("jumped", detail=f"{seconds:.1f} s")
        self._clock.offset += timedelta(seconds=seconds)

    async def _heal(self) -> None:
        for line in self._lines:
            line.is_healed = True
            line.connect()
        for process in self._living:
            self._freezer.thaw(process.name)
        if all(process.is_gone for process in self._living):
            self._begin_process()
        self._lines[-1].is_healed = True
        self._history.note("healed")

    async def _wait_for_peace(self) -> None:
        work_seconds = sum((job.seconds + 1) * (job.attempts + job.snoozes + 1) for job in self._plan.jobs)
        with anyio.move_on_after(PATIENCE_SECONDS + work_seconds):
            while not await self._is_settled():  # noqa: ASYNC110 - virtual time, and no event of ours tells
                await anyio.sleep(0.5)

    async def _is_settled(self) -> bool:
        jobs = await self._store.jobs.find_jobs([job.id for job in self._plan.jobs])
        return all(job.state.is_settled for job in jobs.values())

    async def _end(self) -> None:
        for process in self._living:
            process.stop()
        with anyio.move_on_after(60):
            while not all(process.is_gone for process in self._living):  # noqa: ASYNC110 - as above
                await anyio.sleep(0.5)
        # The dead may unwind now; nothing they do is heard.
        for process in self._killed:
            process.scope.cancel()
            self._freezer.thaw(process.name)
        while not all(process.is_gone for process in self._killed):  # noqa: ASYNC110 - as above
            await anyio.sleep(0.5)
        self._tasks.cancel_scope.cancel()


async def _until_answered(call: Any) -> None:
    while True:
        try:
            await call()
        except StoreUnavailableError:
            await anyio.sleep(0.2)
        else:
            return
