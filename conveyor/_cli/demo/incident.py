"""The incident: halfway one worker is killed while it works, and its jobs are seen recovering."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from conveyor import JobFilter, JobState

if TYPE_CHECKING:
    from conveyor._cli.demo.app import DemoApp
    from conveyor._cli.demo.crew import Crew, WorkerProcess
    from conveyor._cli.demo.ledger import Ledger
    from conveyor._cli.demo.screen import Screen
    from conveyor._cli.demo.tally import Tally

__all__ = ["Incident"]

# More jobs than a worker of the demo can hold.
PAGE: Final = 1000


@define
class Incident:
    """Waits for the moment, kills, replaces, and watches until the dead worker's jobs are free again."""

    demo: DemoApp
    crew: Crew
    victim: WorkerProcess
    ledger: Ledger
    tally: Tally
    screen: Screen
    is_wanted: bool
    has_happened: bool = False
    held: dict[str, str] = field(factory=dict)
    killed_at: float = 0.0

    async def advance(self, settled_count: int, total: int) -> None:
        """Do what the moment asks for; called again and again."""
        if not self.has_happened:
            is_halfway = total // 2 <= settled_count < total
            if self.is_wanted and is_halfway and self.tally.worker(self.victim.pid).running:
                await self._strike()
        elif self.held:
            await self._look_at_held()

    async def _strike(self) -> None:
        self.has_happened = True
        await self.crew.kill(self.victim)
        self.ledger.killed(self.victim.pid)
        self.killed_at = time.monotonic()
        seen = self.tally.worker(self.victim.pid)
        active = await self.demo.app.jobs.find(JobFilter(states=(JobState.ACTIVE,)), limit=PAGE)
        for job in active.jobs:
            token = job.data.token
            if token is not None and token.session_id in seen.sessions:
                self.held[job.id] = token.session_id
        names = ", ".join(Path(file).name for file in seen.running.values())
        self.screen.say(
            f"{self.victim} killed with SIGKILL while it worked on {names}: {_jobs(len(self.held))} recovering"
        )
        replacement = await self.crew.start(self.victim.backend)
        self.screen.say(f"{replacement} started in its place")

    async def _look_at_held(self) -> None:
        count = len(self.held)
        for job_id, session_id in list(self.held.items()):
            job = await self.demo.app.jobs.get(job_id)
            token = job.data.token
            if job.state is not JobState.ACTIVE or token is None or token.session_id != session_id:
                del self.held[job_id]
        if len(self.held) < count:
            seconds = time.monotonic() - self.killed_at
            rest = f", {len(self.held)} to go" if self.held else ""
            self.screen.say(f"{_jobs(count - len(self.held))} recovered {seconds:.1f} s after the kill{rest}")


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
