"""The fixtures that every theme of the kit stands on: programs that add notes and write down how they ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import anyio
import pytest

from conveyor import Conveyor, JobContext
from conveyor._services.heeding import capabilities_of
from conveyor.model.outcomes import Completed

if TYPE_CHECKING:
    from conveyor._handles.handler import JobHandler
    from conveyor._handles.job import Job
    from conveyor.contracts.job_queue import JobQueueCapabilities, JobQueueStrategy
    from conveyor.model.job import JobData
    from conveyor.model.outcomes import Outcome

__all__ = ["QUEUE", "JobQueueKit", "MakeStrategy", "NewProgram", "Notes", "Program", "needs", "needs_no", "process"]

QUEUE: Final = "notes"


class MakeStrategy(Protocol):
    """Makes a strategy that is not open yet, over the same place each time."""

    def __call__(self) -> JobQueueStrategy:
        """Return a new one."""
        ...


class NewProgram(Protocol):
    """Makes a program that is not open yet, over the same place each time."""

    def __call__(self) -> Program:
        """Return a new one."""
        ...


async def process(job: JobData, /) -> Outcome:
    """Stand for what core gives; a strategy need not call it."""
    return Completed(job.id)


def needs(has_capability: bool, name: str) -> None:
    """Skip the test where the strategy declares that it lacks a capability: the kit's only reason to skip."""
    if not has_capability:
        pytest.skip(f"the strategy declares {name}=False")


def needs_no(has_capability: bool, name: str) -> None:
    """Skip a test of what a strategy without a capability does, where it has it."""
    if has_capability:
        pytest.skip(f"the strategy declares {name}=True")


class Notes:
    """What runs write down; programs may share them."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []
        self._changed = anyio.Event()

    def write(self, number: int, attempt: int) -> None:
        """Write down a run."""
        self.runs.append((number, attempt))
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, count: int) -> None:
        """Wait until there are so many."""
        while len(self.runs) < count:
            await self._changed.wait()


class Program:
    """An app whose one handler writes down each run: its number, and which attempt it was."""

    def __init__(self, strategy: JobQueueStrategy, store_url: str, patience_seconds: float) -> None:
        self.strategy: JobQueueStrategy = strategy
        self.notes: Notes = Notes()
        # What runs do beside: fail so often, or wait for this.
        self.failures: int = 0
        self.go_on: anyio.Event | None = None
        self.app: Conveyor = Conveyor(store_url, job_queue=strategy)
        self._patience_seconds = patience_seconds
        self.note: JobHandler[..., Any, [int], int] = self.app.queue(QUEUE).job(name="note")(self._note)

    @property
    def capabilities(self) -> JobQueueCapabilities:
        """What the strategy, which is open, declares."""
        return capabilities_of(self.strategy)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """The runs so far: of which number, and which attempt."""
        return self.notes.runs

    @property
    def numbers(self) -> list[int]:
        """The numbers of the runs, in their order."""
        return [number for number, _ in self.runs]

    async def _note(self, ctx: JobContext, number: int) -> int:
        self.notes.write(number, ctx.attempt)
        if self.go_on is not None:
            await self.go_on.wait()
        if len(self.runs) <= self.failures:
            raise ValueError("the ink is dry")
        return 2 * number

    async def add(self, *numbers: int) -> list[Job[int]]:
        """Add a job for each number, in one call."""
        return await self.note.add_many([self.note.new(number) for number in numbers])

    async def until_ran(self, count: int) -> None:
        """Wait until there were so many runs."""
        with anyio.fail_after(self._patience_seconds):
            await self.notes.until(count)


class JobQueueKit:
    """What the tests of a strategy share. Override the fixture `make_strategy`: each test wants an empty place."""

    pytestmark: ClassVar[pytest.MarkDecorator] = pytest.mark.anyio
    # How long to wait for what must happen.
    patience_seconds: ClassVar[float] = 30.0

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        """Makes strategies over one place, which is empty at first."""
        raise NotImplementedError("override the fixture make_strategy")

    @pytest.fixture
    def store_url(self) -> str:
        """The app's store; the strategy's place, where it keeps its jobs there."""
        return "memory://"

    @pytest.fixture
    def new_program(self, make_strategy: MakeStrategy, store_url: str) -> NewProgram:
        """Makes programs over the same place, not open yet."""
        return lambda: Program(make_strategy(), store_url, self.patience_seconds)

    @pytest.fixture
    def program(self, new_program: NewProgram) -> Program:
        """The program of most tests, not open yet."""
        return new_program()
