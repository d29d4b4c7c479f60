"""Those who tell parents, each by a way of his own through a flow, do not wait for each other in a circle."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import anyio
import psycopg
import pytest
from facets import needed

from conveyor.model.flows import Flow, plan_flow
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.outcomes import Completed
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle
from conveyor.model.states import JobState
from conveyor.testing import open_store
from conveyor.testing.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 30
LOCK: Final = timedelta(minutes=10)
SESSION: Final = "f" * 32
SOON: Final = timedelta(seconds=5)
# What telling the parent of a child does first, and what it does last.
COUNT: Final = "update conveyor.flow_parents set open_count = open_count - 1 where job_id = 'top'"
GO_ON: Final = "select from conveyor.live where id = 'top' for no key update"


def new(job_id: str, queue: str, expires: timedelta | None = None) -> NewJob:
    return NewJob(job_id, queue, "pack", b"{}", JobOptions(), expires=expires)


async def with_a_flow(store: Store) -> JobData:
    """Add a flow whose parent and one child expire soon; return another child of it, which runs."""
    await needed(store.flows).save_flow(
        plan_flow(Flow(new("top", "boxes", SOON), [new("late", "boxes", SOON), new("part", "parts")]))
    )
    await store.jobs.save_jobs([new("other", "others")])
    await store.sessions.open(SessionInfo(SESSION, "here", 1, "none"), LOCK)
    (job,) = await store.jobs.fetch_jobs([Want("parts", 1)], SESSION, LOCK, fetch_number=1)
    return job


async def fetch(store: Store, job: JobData) -> object:
    """Fetch from the queue in which jobs have expired."""
    del job
    return await store.jobs.fetch_jobs([Want("boxes", 1)], SESSION, LOCK, fetch_number=2)


async def settle_and_fetch(store: Store, job: JobData) -> object:
    """Settle a run of the flow, and fetch from that queue in the same step."""
    settlement = settle(job, Completed(), result=None, jitter=0.5)
    return (await store.jobs.settle_jobs([settlement], [Want("boxes", 1)], SESSION, LOCK, fetch_number=2)).jobs


@pytest.mark.parametrize("verb", [fetch, settle_and_fetch])
async def test_a_fetch_that_expires_children_waits_for_who_tells_of_another_before_it_locks_any(
    empty_url: str, verb: Callable[[Store, JobData], Awaitable[object]]
) -> None:
    clock = ManualClock()
    answers: list[Any] = []
    async with open_store(f"{empty_url}?clock=app", clock=clock) as store:
        job = await with_a_flow(store)
        clock.advance("1 minute")

        async def run() -> None:
            answers.append(await verb(store, job))

        with psycopg.connect(empty_url) as teller, anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as tasks:
                teller.execute("select conveyor.lock_flows(array['top'])")
                teller.execute(COUNT)
                tasks.start_soon(run)
                await until_one_waits(empty_url)
                # Deadlocked where the fetch has locked the parent's row, and waits for its count.
                teller.execute(GO_ON)
                teller.rollback()
        assert answers == [[]]
        found = await store.jobs.find_jobs(["top", "late"])
        assert {job.state for job in found.values()} == {JobState.CANCELLED}


async def until_one_waits(url: str) -> None:
    """Return once somebody waits for a lock in the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        waiting = "select count(*) from pg_locks where not granted"
        while connection.execute(waiting).fetchone() == (0,):  # noqa: ASYNC110 - nobody tells of a lock
            await anyio.sleep(0.01)
