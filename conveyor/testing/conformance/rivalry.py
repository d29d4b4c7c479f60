"""Rivalry: many fetch at once, in every way there is to fetch, and no job goes to two of them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor.model.job import AttemptOutcome
from conveyor.model.queries import Want
from conveyor.model.states import JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Hand, Workshop
from conveyor.testing.rivals import FetchMode, Haul, Rivalry, fetch_all, fetch_in_processes, fetch_in_threads
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["RivalryConformance"]

JOBS: Final = 120
NAMES: Final = ("pack", "ship")
TASKS: Final = 8
OTHERS: Final = 3
MODES: Final = tuple(FetchMode)
NOTHING: Final = timedelta(0)


class RivalryConformance(StoreKit):
    """Each job is had by one rival, once, and every one of them is had."""

    @pytest.mark.parametrize("mode", MODES)
    async def test_many_fetchers_get_no_job_twice(self, workshop: Workshop, mode: FetchMode) -> None:
        await add_jobs(workshop, mode)
        check(await let_tasks_fetch([workshop] * TASKS, mode), mode)
        await check_jobs(workshop, mode)

    @pytest.mark.parametrize("mode", MODES)
    async def test_fetchers_of_two_openings_get_no_job_twice(
        self, workshop: Workshop, open_workshop: OpenWorkshop, mode: FetchMode
    ) -> None:
        needs(workshop.store.capabilities.is_shared, "is_shared")
        await add_jobs(workshop, mode)
        async with open_workshop() as other:
            check(await let_tasks_fetch([workshop, other] * (TASKS // 2), mode), mode)
        await check_jobs(workshop, mode)

    @pytest.mark.parametrize("fetch", [fetch_in_threads, fetch_in_processes])
    def test_threads_and_processes_that_fetch_at_once_get_no_job_twice(
        self,
        store_url: str,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
        fetch: Callable[..., list[list[Haul]]],
    ) -> None:
        run = partial(anyio.run, backend=anyio_backend_name, backend_options=anyio_backend_options)
        run(in_shared_store, store_url, add_jobs)
        many = {"threads" if fetch is fetch_in_threads else "processes": OTHERS}
        found = fetch(store_url, [rivalry(mode) for mode in MODES], backend=anyio_backend_name, **many)
        for mode, hauls in zip(MODES, found, strict=True):
            check(hauls, mode)
        run(in_shared_store, store_url, check_jobs)


def rivalry(mode: FetchMode) -> Rivalry:
    """Return what the rivals fetch."""
    return Rivalry(queue_of(mode), mode, NAMES)


def queue_of(mode: FetchMode) -> str:
    """Return the queue whose jobs are fetched in this way."""
    return f"{QUEUE}-{mode}"


def ids_of(mode: FetchMode) -> list[str]:
    """Return the ids of the jobs that are fetched in this way."""
    return [f"{mode}-{number:03}" for number in range(JOBS)]


async def let_tasks_fetch(openings: Sequence[Workshop], mode: FetchMode) -> list[Haul]:
    """Let a task fetch for each of these openings."""
    hauls: list[Haul] = []

    async def fetch(workshop: Workshop) -> None:
        hauls.append(await fetch_all(workshop.store, rivalry(mode)))

    async with anyio.create_task_group() as tasks:
        for workshop in openings:
            tasks.start_soon(fetch, workshop)
    return hauls


async def in_shared_store(url: str, do: Callable[[Workshop, FetchMode], Awaitable[None]]) -> None:
    """Do something for every mode, in an opening of its own, where the store can be shared."""
    async with open_store(url) as store:
        needs(store.capabilities.is_shared, "is_shared")
        for mode in MODES:
            await do(Workshop(store, ManualClock()), mode)


async def add_jobs(workshop: Workshop, mode: FetchMode) -> None:
    """Add the jobs; those for suspects have lost a worker already."""
    ids, queue = ids_of(mode), queue_of(mode)
    for start, name in enumerate(NAMES):
        await workshop.add(*ids[start :: len(NAMES)], queue=queue, name=name)
    if mode is FetchMode.SUSPECT:
        hand = Hand(workshop.store)
        await hand.open(NOTHING)
        hand.fetches = 1
        await hand.repeat_fetch(Want(queue, JOBS), lock_duration=NOTHING)
        assert len(await workshop.jobs.reclaim_stalled_jobs(1)) == JOBS


def check(hauls: Sequence[Haul], mode: FetchMode) -> None:
    """Assert that each job was had, and had by one."""
    assert sorted(job_id for haul in hauls for job_id in haul.fetched) == ids_of(mode)
    assert [job_id for haul in hauls for job_id in haul.refused] == []


async def check_jobs(workshop: Workshop, mode: FetchMode) -> None:
    """Assert that each job ran once."""
    before = [AttemptOutcome.STALLED] if mode is FetchMode.SUSPECT else []
    assert await workshop.queues.count_jobs(queue_of(mode), JobState.COMPLETED) == JOBS
    for job_id in ids_of(mode):
        assert await workshop.outcomes(job_id) == [*before, AttemptOutcome.COMPLETED]
