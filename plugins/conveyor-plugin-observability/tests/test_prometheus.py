"""Prometheus' text: what is in it, that its own parser reads it, and that numbers only grow."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from conveyor_plugin_observability import metrics_app, metrics_text
from conveyor_plugin_observability.prometheus import render
from conveyor_plugin_observability.serving import serve_until_signalled, serving
from prometheus_client.parser import text_string_to_metric_families

from conveyor import Conveyor, JobBuffer, JobState
from conveyor.__main__ import main
from conveyor.errors import CapabilityError, ConfigurationError, StoreUnavailableError
from conveyor.model.job import AttemptOutcome
from conveyor.model.metrics import Histogram, Metrics, QueueDepth, RollUp, bucket_of
from conveyor.model.sessions import SessionInfo
from conveyor.testing import ManualClock, open_store
from conveyor.testing.faults import FaultyStore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

LABELS = ("buffer", "queue", "name", "outcome", "state", "le")
OLDEST = "conveyor_oldest_waiting_seconds"
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the values of its labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(depths: Any = (), roll_ups: Any = (), workers: Any = ()) -> str:
    """Return the text of some metrics."""
    return render(Metrics(NOW, None, depths, roll_ups), workers).body.decode()


def worker(name: str, *queue_names: str, seconds_left: float = 10, concurrency: int = 4) -> SessionInfo:
    """Return a worker whose lock lasts for so long."""
    expires_at = NOW + timedelta(seconds=seconds_left)
    return SessionInfo(name, "host", 1, "trio", queue_names, NOW, expires_at, concurrency=concurrency)


def test_depths_and_the_age_of_the_oldest_are_told_of_each_queue() -> None:
    found = samples(
        counted(
            [
                QueueDepth("mails", {JobState.WAITING: 3, JobState.ACTIVE: 1}, NOW - timedelta(seconds=90)),
                QueueDepth('a "b"\\\n', {JobState.WAITING: 0}),
            ]
        )
    )
    assert {key: value for key, value in found.items() if key[0] in {"conveyor_jobs", OLDEST}} == {
        ("conveyor_jobs", "mails", "waiting"): 3,
        ("conveyor_jobs", "mails", "active"): 1,
        ("conveyor_jobs", 'a "b"\\\n', "waiting"): 0,
        (OLDEST, "mails"): 90,
        (OLDEST, 'a "b"\\\n'): 0,
    }


def test_workers_are_told_of_each_queue_also_of_one_that_nobody_serves() -> None:
    crew = [worker("1", "mails", "reports"), worker("2", "mails"), worker("3", "mails", seconds_left=-1)]
    found = samples(counted([QueueDepth("forgotten", {})], workers=crew))
    assert found == {
        ("conveyor_workers", "forgotten"): 0,
        ("conveyor_workers", "mails"): 2,
        ("conveyor_workers", "reports"): 1,
        ("conveyor_lost_workers",): 1,
        ("conveyor_slots",): 8,
        (OLDEST, "forgotten"): 0,
    }


def test_runs_are_told_by_outcome_and_spans_of_a_handler_are_added_up() -> None:
    ends = [{AttemptOutcome.COMPLETED: 4, AttemptOutcome.FAILED: 1}, {AttemptOutcome.COMPLETED: 2}]
    found = samples(counted(roll_ups=[RollUp("mails", "send", NOW, timedelta(minutes=1), end) for end in ends]))
    assert {key: value for key, value in found.items() if key[0] == "conveyor_runs_total"} == {
        ("conveyor_runs_total", "mails", "send", "completed"): 6,
        ("conveyor_runs_total", "mails", "send", "failed"): 1,
    }


def test_times_are_histograms_whose_buckets_are_those_of_the_store() -> None:
    times = Histogram({bucket_of(seconds): 1 for seconds in (0.0001, 0.001, 0.0011, 1.0, 5000.0)}, timedelta(seconds=9))
    found = samples(counted(roll_ups=[RollUp("mails", "send", waits=times)]))
    buckets = {key[3]: value for key, value in found.items() if key[0] == "conveyor_wait_seconds_bucket"}
    bounds = [float(bound) for bound in buckets]
    assert bounds == sorted(bounds)
    assert [buckets[bound] for bound in ("0.001", "0.002", "0.512", "1.024", "+Inf")] == [2, 3, 3, 4, 5]
    assert found["conveyor_wait_seconds_count", "mails", "send"] == 5
    assert found["conveyor_wait_seconds_sum", "mails", "send"] == 9
    assert found["conveyor_run_seconds_count", "mails", "send"] == 0


async def test_the_numbers_of_a_store_are_read_and_only_grow() -> None:
    app = Conveyor("memory://")
    work = app.queue("work")

    @work.job(attempts=2)
    async def run(is_good: bool) -> None:
        if not is_good:
            raise ValueError

    async with app:
        await work.add("run", {"is_good": True}, delay="1 hour")
        before = samples(await metrics_text(app))
        async with app.worker(concurrency=3):
            for job in await run.add_many([run.new(True), run.new(False)]):
                await job.wait_until_finished(timeout="20s")
            during = samples(await metrics_text(app))
        after = samples(await metrics_text(app))
    assert before["conveyor_jobs", "work", "delayed"] == 1
    assert (before["conveyor_workers", "work"], during["conveyor_workers", "work"]) == (0, 1)
    assert during["conveyor_slots",] == 3
    assert ("conveyor_runs_total", "work", "run", "completed") not in before
    assert after["conveyor_runs_total", "work", "run", "completed"] == 1
    assert after["conveyor_runs_total", "work", "run", "retried"] == 1
    assert after["conveyor_runs_total", "work", "run", "failed"] == 1
    assert after["conveyor_run_seconds_count", "work", "run"] == 3


async def test_how_full_buffers_are_is_told_and_since_when() -> None:
    clock = ManualClock(NOW)
    app = Conveyor("memory://", clock=clock)
    app.buffers.add_buffer(JobBuffer("reindex", collect=lambda job: job.name == "reindex", reduce=list))
    async with app:
        assert "conveyor_buffered_jobs{" not in await metrics_text(app)
        await app.queue("work").add("reindex", {"id": 1})
        clock.advance(60)
        await app.queue("work").add("reindex", {"id": 2})
        full = samples(await metrics_text(app))
        await app.buffers.flush()
        assert "conveyor_buffered_jobs{" not in await metrics_text(app)
    assert full["conveyor_buffered_jobs", "reindex"] == 2
    assert full["conveyor_buffered_bytes", "reindex"] == 2 * len(b'{"id":1}')
    assert full["conveyor_oldest_buffered_seconds", "reindex"] == 60


async def test_a_store_without_buffers_tells_of_none() -> None:
    async with open_store("memory://") as store:
        without = FaultyStore(store)
        without.buffers = None
        async with Conveyor(without) as app:
            assert "conveyor_buffered_jobs{" not in await metrics_text(app)


async def test_an_asgi_server_answers_get_and_head_and_speaks_openmetrics_where_asked() -> None:
    app = Conveyor("memory://")
    async with app:
        await app.queue("work").add("x")
        transport = httpx.ASGITransport(metrics_app(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
            got, head = await client.get("/any"), await client.head("/any")
            openly = await client.get("/any", headers={"accept": "application/openmetrics-text; version=1.0.0"})
            refused = await client.post("/any")
    assert got.status_code == head.status_code == 200
    assert got.headers["content-type"].startswith("text/plain; version=")
    assert samples(got.text)["conveyor_jobs", "work", "waiting"] == 1
    assert head.text == ""
    assert int(head.headers["content-length"]) > 0
    assert got.headers["content-length"] == str(len(got.content))
    assert openly.headers["content-type"].startswith("application/openmetrics-text")
    assert openly.text.endswith("# EOF\n")
    assert refused.status_code == 405


class Unreachable(Conveyor):
    """An app whose store cannot be asked."""

    async def metrics(self, *queues: str, window: Any = None) -> Metrics:
        raise StoreUnavailableError("no way to postgresql://ada:hunter2@db")


async def test_a_store_that_cannot_be_asked_is_503_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.ASGITransport(metrics_app(Unreachable("memory://")))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "db" not in answer.text
    assert "no way to postgresql://ada:***@db" in caplog.text


class Countless(Conveyor):
    """An app whose store counts nothing."""

    async def metrics(self, *queues: str, window: Any = None) -> Metrics:
        raise CapabilityError("countless", "metrics", "metrics")


def test_a_store_that_counts_nothing_is_refused_at_once() -> None:
    said: list[str] = []
    with pytest.raises(CapabilityError):
        anyio.run(serve_until_signalled, Countless("memory://"), "127.0.0.1", 0, said.append)
    assert said == []


def fetched(url: str) -> tuple[int, str]:
    """Ask a server, in a thread."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


async def test_a_server_of_its_own_answers_until_the_block_ends() -> None:
    app = Conveyor("memory://")
    async with app:
        await app.queue("work").add("x")
        async with serving(app, "127.0.0.1", 0) as url:
            status, text = await anyio.to_thread.run_sync(fetched, url)
            assert (await anyio.to_thread.run_sync(fetched, f"{url}/else"))[0] == 404
            with pytest.raises(ConfigurationError, match=r"nobody can listen on 127\.0\.0\.1"):
                async with serving(app, "127.0.0.1", int(url.split(":")[2].partition("/")[0])):
                    pytest.fail("two listen on one port")
        with pytest.raises(OSError, match="refused"):
            await anyio.to_thread.run_sync(fetched, url)
    assert status == 200
    assert samples(text)["conveyor_jobs", "work", "waiting"] == 1


async def test_a_server_that_is_cancelled_at_once_ends() -> None:
    async with Conveyor("memory://") as app:
        with anyio.fail_after(20), anyio.CancelScope() as scope:
            async with serving(app, "127.0.0.1", 0):
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught


def test_a_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "print", "--store", "memory://"]) == 0
    assert "# TYPE conveyor_runs_total counter" in capsys.readouterr().out
    assert main(["metrics", "print", "--store", "nothing://"]) == 2
    assert main(["metrics", "serve", "--store", "memory://", "--port", "99999"]) == 2


def test_a_command_serves_them_until_it_is_signalled(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conveyor", "metrics", "serve", "--store", "memory://", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = re.fullmatch(r"metrics are at (http://\S+)\n", process.stderr.readline())
        assert said is not None
        assert fetched(said[1])[0] == 200
        begun = time.monotonic()
        process.terminate()
        assert (process.wait(20), process.stderr.read()) == (0, "")
        assert time.monotonic() - begun < 10
    finally:
        process.kill()
        process.communicate()
