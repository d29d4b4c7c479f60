"""A whole worker run over a store that fails: every job still ends once, with the right attempts."""

from __future__ import annotations

import os
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor import Cancel, Conveyor, JobContext, fixed
from conveyor.errors import InvalidJobStateError, StoreUnavailableError
from conveyor.model.job import AttemptOutcome
from conveyor.model.states import JobState
from conveyor.testing.conformance.kit import StoreKit, store_plugins
from conveyor.testing.faults import FaultKind, FaultyStore, at_call, at_random
from conveyor.testing.stores import open_store_among

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from conveyor import Job, NewJob
    from conveyor.contracts.store import Store
    from conveyor.testing.faults import FaultPlan

__all__ = ["FaultsConformance"]

JOBS: Final = 60
LONGEST_SECONDS: Final = 30
SPOILED: Final = (FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER)
# A run takes about a hundred calls; the first few matter most, for there each verb is new.
SAMPLE: Final = (1, 2, 3, 4, 5, 6, 7, 8, 12, 18, 25, 34, 50, 75)
EVERY: Final = tuple(range(1, 101))
CALLS: Final = EVERY if os.environ.get("CONVEYOR_FULL") == "1" else SAMPLE


class Fate(StrEnum):
    """What is to become of a job."""

    COMPLETES = "completes"
    FAILS = "fails"
    WAITS = "waits"
    STOPS = "stops"
    FALTERS = "falters"
    IS_CANCELLED = "is_cancelled"


FATES: Final = tuple(Fate)
ENDS: Final[dict[Fate, tuple[JobState, list[AttemptOutcome]]]] = {
    Fate.COMPLETES: (JobState.COMPLETED, [AttemptOutcome.COMPLETED]),
    Fate.FAILS: (JobState.FAILED, [AttemptOutcome.RETRIED, AttemptOutcome.FAILED]),
    Fate.WAITS: (JobState.COMPLETED, [AttemptOutcome.COMPLETED]),
    Fate.STOPS: (JobState.CANCELLED, [AttemptOutcome.CANCELLED]),
    Fate.FALTERS: (JobState.COMPLETED, [AttemptOutcome.RETRIED, AttemptOutcome.COMPLETED]),
    Fate.IS_CANCELLED: (JobState.CANCELLED, []),
}


async def insist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Do what a program does whose call failed: call again, the same."""
    while True:
        try:
            return await call()
        except StoreUnavailableError:
            continue
        except InvalidJobStateError:
            return None  # the call took effect before its answer was lost


class Run:
    """Sixty jobs with their fates, over one store."""

    def __init__(self, store: Store) -> None:
        self.app: Conveyor = Conveyor(store)
        self.runs: Counter[str] = Counter()
        queue = self.app.queue("orders")

        @queue.job(attempts=2, backoff=fixed("1ms"))
        async def meet(context: JobContext, fate: str) -> Cancel | None:
            self.runs[context.job.id] += 1
            await anyio.lowlevel.checkpoint()
            if fate == Fate.FAILS or (fate == Fate.FALTERS and context.attempt == 1):
                raise ValueError(fate)
            return Cancel("enough") if fate == Fate.STOPS else None

        delays = {Fate.WAITS: "20ms", Fate.IS_CANCELLED: "1h"}
        self.fates: list[Fate] = [FATES[number % len(FATES)] for number in range(JOBS)]
        self.jobs: list[NewJob] = [meet.options(delay=delays.get(fate, 0)).new(fate) for fate in self.fates]

    async def finish(self, whole: Store) -> None:
        """Add, cancel and run all jobs; return once the store within says that all have settled."""
        async with self.app:
            handles: Sequence[Job[Any]] = await insist(lambda: self.app.queue("orders").add_many(self.jobs))
            async with self.app.worker(concurrency=5, poll_interval="50ms"):
                for fate, job in zip(self.fates, handles, strict=True):
                    if fate is Fate.IS_CANCELLED:
                        await insist(job.cancel)
                with anyio.fail_after(LONGEST_SECONDS):
                    while not await self.have_settled(whole):  # noqa: ASYNC110 - hints may be lost on their way
                        await anyio.sleep(0.01)

    async def have_settled(self, whole: Store) -> bool:
        """Whether every job has."""
        counts = await whole.queues.get_job_counts("orders")
        return sum(counts[state] for state in JobState if state.is_settled) == JOBS

    async def check(self, whole: Store) -> None:
        """Assert that each job met its fate, once."""
        found = await whole.jobs.find_jobs([job.id for job in self.jobs])
        for fate, job in zip(self.fates, self.jobs, strict=True):
            attempts = [attempt.outcome for attempt in await whole.jobs.get_attempts(job.id)]
            assert (found[job.id].state, attempts) == ENDS[fate]
            assert self.runs[job.id] == len(attempts)


class FaultsConformance(StoreKit):
    """Core may repeat what failed because commands may be repeated: here both are seen to be true together.

    ``CONVEYOR_FULL=1`` lets every call fail in turn, not some of them.
    """

    @pytest.fixture
    async def whole(self, store_url: str) -> AsyncIterator[Store]:
        """The store under test on the system's clock, for workers wait in real time."""
        async with open_store_among(store_plugins(), store_url) as store:
            yield store

    async def run_spoiled(self, whole: Store, plan: FaultPlan) -> None:
        """Run everything over the store as it is spoiled by the plan."""
        run = Run(FaultyStore(whole, plan))
        await run.finish(whole)
        await run.check(whole)

    @pytest.mark.parametrize("kind", SPOILED)
    @pytest.mark.parametrize("number", CALLS)
    async def test_every_job_ends_once_whichever_call_fails(self, whole: Store, number: int, kind: FaultKind) -> None:
        await self.run_spoiled(whole, at_call(number, kind))

    @pytest.mark.parametrize("seed", [1, 2])
    async def test_every_job_ends_once_though_every_tenth_call_fails(self, whole: Store, seed: int) -> None:
        await self.run_spoiled(whole, at_random(seed, rate=0.1))

    async def test_every_job_ends_once_though_no_hint_arrives(self, whole: Store) -> None:
        await self.run_spoiled(whole, lambda call: FaultKind.DROP if call.facet == "notifier" else None)

    async def test_every_job_ends_once_though_every_hint_arrives_twice(self, whole: Store) -> None:
        await self.run_spoiled(whole, lambda call: FaultKind.DOUBLE if call.facet == "notifier" else None)
