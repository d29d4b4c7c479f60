"""The story: start the workers, add a job for each file, kill one halfway, wait for the last job, prove."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from attrs import frozen

from conveyor import Job, JobState
from conveyor._cli.demo.app import DemoApp, make_app
from conveyor._cli.demo.crew import Crew
from conveyor._cli.demo.incident import Incident
from conveyor._cli.demo.ledger import Ledger, LedgerReader
from conveyor._cli.demo.screen import Screen, View, WorkerView
from conveyor._cli.demo.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._cli.demo.folder import Folder

__all__ = ["Ending", "StandstillError", "Story"]

ADDED_AT_ONCE: Final = 250
TICK_SECONDS: Final = 0.1
LONGEST_STANDSTILL_SECONDS: Final = 30.0


class StandstillError(Exception):
    """No job was settled for a long time."""


@frozen
class Ending:
    """How it ended: the settled jobs, the seconds it took, and what the proof printed."""

    jobs: Sequence[Job[Any]]
    seconds: float
    proof: Mapping[str, Any]


class Story:
    """Tells one demo, start to end."""

    def __init__(self, folder: Folder, root: Path, files: Sequence[Path], screen: Screen) -> None:
        """Bind to what the story is about: the files, which lie below `root`."""
        self._folder = folder
        self._root = root
        self._files = files
        self._screen = screen
        self._reader = LedgerReader(folder.ledger)
        self._tally = Tally()
        self._begun = time.monotonic()

    async def tell(self, *, concurrency: int, kill: bool) -> Ending:
        """Play it all and return the ending."""
        with Ledger(self._folder.ledger) as ledger:
            demo = make_app(self._folder, ledger)
            async with demo.app:
                async with Crew(self._folder, concurrency) as crew:
                    self._screen.say(f"{len(self._files):,} files below {self._root}")
                    survivor, victim = await crew.start("asyncio"), await crew.start("trio")
                    self._screen.say(f"{survivor} and {victim} started")
                    await self._add(demo, ledger)
                    incident = Incident(demo, crew, victim, ledger, self._tally, self._screen, kill)
                    await self._watch(demo, crew, incident)
                    seconds = time.monotonic() - self._begun
                jobs = await _settled_jobs(demo)
        if kill and not incident.has_happened:
            self._screen.say("nobody was killed: the files were done before a worker could be caught at work")
        return Ending(jobs, seconds, await _prove(self._folder))

    async def _add(self, demo: DemoApp, ledger: Ledger) -> None:
        for start in range(0, len(self._files), ADDED_AT_ONCE):
            files = [str(file) for file in self._files[start : start + ADDED_AT_ONCE]]
            jobs = await demo.analyse.add_many([demo.analyse.new(file) for file in files])
            for job, file in zip(jobs, files, strict=True):
                ledger.added(job.id, file)

    async def _watch(self, demo: DemoApp, crew: Crew, incident: Incident) -> None:
        settled, moved_at = -1, time.monotonic()
        while settled < len(self._files):
            await anyio.sleep(TICK_SECONDS)
            crew.check()
            now = time.monotonic()
            self._tally.take(self._reader.read(), now)
            view = self._view(await demo.queue.counts(), crew, now)
            self._screen.show(view)
            if view.settled > settled:
                settled, moved_at = view.settled, now
            elif now - moved_at > LONGEST_STANDSTILL_SECONDS:
                raise StandstillError(f"nothing was settled for {now - moved_at:.0f} s; {settled} jobs were")
            await incident.advance(settled, len(self._files))

    def _view(self, counts: Mapping[JobState, int], crew: Crew, now: float) -> View:
        workers = []
        for worker in crew.workers:
            seen = self._tally.worker(worker.pid)
            running = [Path(file).name for file in seen.running.values()]
            workers.append(WorkerView(worker.number, worker.backend, worker.is_killed, seen.finished_count, running))
        return View(
            seconds=now - self._begun,
            total=len(self._files),
            completed=counts[JobState.COMPLETED],
            failed=counts[JobState.FAILED],
            active=counts[JobState.ACTIVE],
            throughput=self._tally.throughput(now, self._begun),
            workers=workers,
            slowest=[(seconds, Path(file).name) for seconds, file in self._tally.slowest_files()],
        )


async def _settled_jobs(demo: DemoApp) -> list[Job[Any]]:
    found: list[Job[Any]] = []
    for state in (JobState.COMPLETED, JobState.FAILED):
        for start in range(0, await demo.queue.count(state), ADDED_AT_ONCE):
            found += await demo.queue.jobs(state, start, start + ADDED_AT_ONCE)
    return found


async def _prove(folder: Folder) -> Mapping[str, Any]:
    """Let a separate process count; raise where it could not."""
    command = [sys.executable, "-P", "-m", "conveyor._cli.demo.proof", str(folder.path)]
    counted = await anyio.run_process(command, check=False)
    try:
        proof: dict[str, Any] = json.loads(counted.stdout)
    except ValueError:
        raise RuntimeError(f"the proof could not be made: {counted.stderr.decode('utf-8', 'replace')}") from None
    if (counted.returncode == 0) is not proof["agree"]:
        raise RuntimeError(f"the proof says agree={proof['agree']}, but exited with {counted.returncode}")
    return proof
