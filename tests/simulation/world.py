"""One simulated run: processes, clients and a nemesis over one store, and peace in the end."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import anyio

from conveyor import Conveyor
from conveyor._builtin.memory.store import MemoryStore
from conveyor._runtime import crew, slots
from conveyor.model.queries import ALL_NAMES
from tests.simulation.clients import start_clients
from tests.simulation.facets import noted_features
from tests.simulation.faults import Line
from tests.simulation.history import History
from tests.simulation.nemesis import Nemesis
from tests.simulation.plan import QUEUES, RETENTION_SECONDS, START, Plan, make_plan
from tests.simulation.process import PLUGINS, Process
from tests.simulation.scheduler import Freezer, run_seeded
from tests.simulation.threads import VirtualTurn, VirtualWatchdog
from tests.simulation.truth import NotedJobs, NotedQueues, NotedSessions, NotedWaiting

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["World", "simulate"]

# By so long after the faults have ended, and the time the handlers take, everything must be settled.
PATIENCE_SECONDS: Final = 80.0


def simulate(seed: int, plan: Plan | None = None) -> tuple[Plan, History]:
    """Run what a seed decides; return what was planned and what happened."""
    plan = plan or make_plan(seed)
    history = History()
    with _silence(), patch.object(crew, "Watchdog", VirtualWatchdog), patch.object(slots, "Turn", VirtualTurn):
        run_seeded(seed, lambda: World(plan, history).run())
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

    def __init__(self, history: History) -> None:
        self._history = history

    def now(self) -> datetime:
        return START + timedelta(seconds=anyio.current_time() + self._history.clock_offset)


class World:
    """Everything there is in one run.

    Attributes:
        living: the processes that were begun and not killed.
        tasks: the group of every process.
    """

    freezer: Freezer
    tasks: Any

    def __init__(self, plan: Plan, history: History) -> None:
        """Make the store and the clients' app."""
        self.history = history
        self.living: list[Process] = []
        self._plan = plan
        self._draw = Random(plan.seed + 1)
        self._clock = _WallClock(history)
        self._store = MemoryStore(self._clock)
        waiting = NotedWaiting(self._store, history)
        self.sessions = NotedSessions(self._store, history, waiting)
        self._facets: dict[str, Any] = {"jobs": NotedJobs(self._store, history, waiting), "sessions": self.sessions}
        self._queues = self._facets["queues"] = NotedQueues(self._store, history)
        if plan.features is not None:
            self._facets |= noted_features(self._store, history, waiting)
        self._numbers = count(1)
        self._killed: list[Process] = []
        self._lines: list[Line] = []
        self._client = Conveyor(self._line("client"), clock=self._clock, plugins=PLUGINS)
        self._nemesis = Nemesis(self, plan, self._draw)

    async def run(self) -> None:
        """Let it all happen."""
        plan = self._plan
        self.freezer = Freezer()
        await self._set_limits()
        async with anyio.create_task_group() as self.tasks:
            async with self._client, anyio.create_task_group() as clients:
                start_clients(clients, self._client, plan, self.history)
                if plan.is_calm:
                    await anyio.sleep(1)
                for _ in range(plan.processes):
                    self.begin_process()
                self._nemesis.start(clients)
            await self._heal()
            await self._wait_for_peace()
            await self._end()
        self.history.final.update(await self._store.jobs.find_jobs(list(self._store.jobs._tables.jobs)))

    async def _set_limits(self) -> None:
        """Let limits hold before any worker is there: it knows of them then from its first job on."""
        features = self._plan.features
        for queue_name, limits in () if features is None else features.limits.items():
            await self._facets["limits"].set_limits(queue_name, limits)

    def begin_process(self) -> None:
        """Start one more process."""
        name = f"w{next(self._numbers)}"
        process = Process(name, self._line(name), self._plan, self._clock, self.history)
        self.living.append(process)
        self.tasks.start_soon(process.run)

    def bury(self, process: Process) -> None:
        """Let nothing of a process run any more, nor reach the store."""
        self.freezer.freeze(process.name)
        process.line.is_dead = True
        self.living.remove(process)
        self._killed.append(process)

    def _line(self, name: str) -> Line:
        line = Line(name, self._facets, self._plan, self._draw, store=self._store, history=self.history)
        self._lines.append(line)
        return line

    async def _heal(self) -> None:
        for line in self._lines:
            line.is_healed = True
            line.connect()
        for process in self.living:
            self.freezer.thaw(process.name)
        if all(process.is_gone for process in self.living):
            self.begin_process()
        self._lines[-1].is_healed = True
        for queue_name in QUEUES:
            for job_name in (ALL_NAMES, "work"):
                await self._queues.resume_job_name(queue_name, job_name)
        self.history.note("healed")

    async def _wait_for_peace(self) -> None:
        work_seconds = sum(
            (job.seconds + job.hold_seconds + 1) * (job.attempts + job.snoozes + 1) for job in self._plan.jobs
        )
        with anyio.move_on_after(PATIENCE_SECONDS + work_seconds + self._seconds_of_features()):
            while not await self._is_settled():  # noqa: ASYNC110 - virtual time, and no event of ours tells
                await anyio.sleep(2)
        await self._let_retention_end()

    def _seconds_of_features(self) -> float:
        """Return how much longer it may take where jobs wait for each other, for a rate, or for a time."""
        features = self._plan.features
        if features is None:
            return 0.0
        runs = sum(job.attempts + job.snoozes + job.throttles + 1 for job in self._plan.jobs)
        ticks = sum(one.limit * (one.every_seconds + one.seconds + 1) for one in features.schedules)
        return 4.0 * (runs + ticks)

    async def _is_settled(self) -> bool:
        jobs = self._store.jobs._tables.jobs.values()
        schedules = await self._store.schedules.list_schedules()
        return all(job.state.is_settled for job in jobs) and all(one.due_at is None for one in schedules)

    async def _let_retention_end(self) -> None:
        """Let whoever removes what is outdated look twice, and note what there is then."""
        if self._plan.features is None or self._plan.features.retention is None:
            return
        await anyio.sleep(2.5 * RETENTION_SECONDS)
        for job in self._store.jobs._tables.jobs.values():
            if job.finished_at is not None:
                self.history.kept[job.id] = (self._clock.now() - job.finished_at).total_seconds()

    async def _end(self) -> None:
        for process in self.living:
            if not process.is_gone:
                self.history.note("stopping", process.name)
            process.stop()
        with anyio.move_on_after(60):
            while not all(process.is_gone for process in self.living):  # noqa: ASYNC110 - as above
                await anyio.sleep(0.5)
        self.history.note("over")
        # The dead may unwind now; nothing they do is heard.
        for process in self._killed:
            process.scope.cancel()
            self.freezer.thaw(process.name)
        while not all(process.is_gone for process in self._killed):  # noqa: ASYNC110 - as above
            await anyio.sleep(0.5)
        self.tasks.cancel_scope.cancel()
