"""What is lost with a server that leads, and with workers that die: nothing that was acknowledged, and no neighbour."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import deadly
import pytest
from cluster import Cluster
from conveyor_plugin_nats.queue import NatsJobQueue
from opened import new_job, open_queue

from conveyor import Conveyor
from conveyor.errors import CapabilityError, JobFailedError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Server

    from conveyor import Job, JobHandler

pytestmark = pytest.mark.anyio

# Servers choose another leader after four to nine seconds, and a worker that died is found after its lock.
takes_long = pytest.mark.skipif(os.environ.get("CONVEYOR_FULL") != "1", reason="takes long: CONVEYOR_FULL=1 runs it")

BEFORE: Final = 80
WHILE_AWAY: Final = 20
ENDED: Final = 10
SECONDS: Final = 40.0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three servers."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


async def add_until_acknowledged(handler: JobHandler[..., Any, ..., int], number: int) -> Job[int]:
    """Add a job under an id of its own, as often as it takes."""
    while True:
        try:
            return await handler.options(job_id=f"late-{number}").add(number)
        except StoreUnavailableError:
            await anyio.sleep(0.1)


@takes_long
async def test_the_loss_of_the_server_that_leads_loses_no_job_and_runs_none_again_that_had_ended(
    cluster: Cluster,
) -> None:
    queue = NatsJobQueue(f"{cluster.url}?stream=jobs&replicas=3&timeout=1s&lock_duration=3s")
    app = Conveyor("memory://", job_queue=queue)
    runs: Counter[int] = Counter()

    @app.queue("work").job()
    async def note(number: int) -> int:
        runs[number] += 1
        await anyio.sleep(0.2)
        return number

    async with app, app.worker(concurrency=5):
        jobs = await note.add_many([note.new(number) for number in range(BEFORE)])
        for number, job in enumerate(jobs[:ENDED]):
            assert await job.result(timeout=SECONDS) == number
        jetstream = queue._desk.connection.jetstream
        told = await queue._bridge.call(lambda: jetstream.stream_info("jobs"))
        assert told.cluster is not None
        assert told.cluster.leader is not None
        cluster.kill(told.cluster.leader)
        assert len(runs) < BEFORE
        for number in range(BEFORE, BEFORE + WHILE_AWAY):
            jobs.append(await add_until_acknowledged(note, number))
        assert [await job.result(timeout=SECONDS) for job in jobs] == list(range(BEFORE + WHILE_AWAY))
        told = await queue._bridge.call(lambda: jetstream.stream_info("jobs", "jobs.*.*.*"))
    kinds = Counter(subject.split(".")[1] for subject in told.state.subjects or {})
    assert kinds["done"] == len(jobs)
    assert runs.keys() == set(range(len(jobs)))
    assert [runs[number] for number in range(ENDED)] == [1] * ENDED


@takes_long
async def test_a_job_that_kills_its_workers_is_a_dead_letter_and_its_neighbours_are_not(url: str) -> None:
    url = f"{url}&max_stalled=2&lock_duration=1s"
    app = Conveyor("memory://", job_queue=NatsJobQueue(url))
    deaths = 0
    async with app, anyio.create_task_group() as tasks:

        async def work() -> None:
            nonlocal deaths
            while True:
                async with await anyio.open_process(
                    [sys.executable, Path(deadly.__file__), url], stderr=None
                ) as worker:
                    try:
                        await worker.wait()
                    finally:
                        if worker.returncode is None:
                            worker.kill()
                deaths += 1

        queue = app.queue(deadly.QUEUE)
        jobs = await queue.add_many([queue.new("live", {"number": number}) for number in range(10)])
        tasks.start_soon(work)
        neighbours = [number for number in range(10) if number != deadly.DEADLY]
        assert [await jobs[number].result(timeout=SECONDS) for number in neighbours] == neighbours
        with pytest.raises(JobFailedError, match="died 3 times, more often than max_stalled=2"):
            await jobs[deadly.DEADLY].result(timeout=SECONDS)
        tasks.cancel_scope.cancel()
    assert deaths == 3


async def test_more_servers_than_there_are_is_refused(url: str) -> None:
    with pytest.raises(CapabilityError, match="replicas=3"):
        async with open_queue(f"{url}&replicas=3"):
            pytest.fail("it opened")


async def test_a_stream_that_keeps_less_than_is_wanted_is_refused_and_one_that_keeps_more_is_not(
    url: str, server: Server
) -> None:
    del server
    async with open_queue(url) as queue:
        await queue.add(new_job("a"))
    with pytest.raises(StoreError, match="keep each message on 3 servers, and does on 1"):
        async with open_queue(f"{url}&replicas=3"):
            pytest.fail("it opened")


@takes_long
async def test_a_cluster_that_is_smaller_than_is_wanted_is_refused(cluster: Cluster) -> None:
    with pytest.raises(CapabilityError, match="replicas=5"):
        async with open_queue(f"{cluster.url}?replicas=5"):
            pytest.fail("it opened")
    async with open_queue(f"{cluster.url}?replicas=3"), open_queue(cluster.url):
        pass
