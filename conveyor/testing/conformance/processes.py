"""Processes: several programs on one store, each with an opening of its own."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import anyio

from conveyor.model.job import AttemptOutcome
from conveyor.model.states import JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Workshop
from conveyor.testing.rivals import fetch_as_rivals
from conveyor.testing.stores import open_store

__all__ = ["ProcessesConformance"]

IDS: Final = [f"{number:03}" for number in range(200)]
PROCESSES: Final = 3


class ProcessesConformance(StoreKit):
    """What holds between tasks holds between processes."""

    def test_processes_that_fetch_at_once_get_no_job_twice(
        self, store_url: str, anyio_backend_name: str, anyio_backend_options: dict[str, Any]
    ) -> None:
        run = partial(anyio.run, backend=anyio_backend_name, backend_options=anyio_backend_options)
        run(add_jobs, store_url)
        hauls = fetch_as_rivals(store_url, QUEUE, processes=PROCESSES, backend=anyio_backend_name)
        assert sorted(job_id for haul in hauls for job_id in haul.fetched) == IDS
        assert [job_id for haul in hauls for job_id in haul.refused] == []
        run(check_jobs, store_url)


async def add_jobs(url: str) -> None:
    """Add the jobs, where the store can be shared."""
    async with open_store(url) as store:
        needs(store.capabilities.is_shared, "is_shared")
        await Workshop(store, ManualClock()).add(*IDS)


async def check_jobs(url: str) -> None:
    """Assert that each job ran once."""
    async with open_store(url) as store:
        workshop = Workshop(store, ManualClock())
        assert await workshop.queues.count_jobs(QUEUE, JobState.COMPLETED) == len(IDS)
        for job_id in IDS:
            assert await workshop.outcomes(job_id) == [AttemptOutcome.COMPLETED]
