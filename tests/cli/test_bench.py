"""``conveyor bench``: one object with the agreed keys, each job exactly once, and nothing left behind."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from conveyor._cli.measuring import percentile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

TWICE = """
from conveyor import Conveyor

class Twice:
    async def around_add(self, jobs, call_next):
        return await call_next(jobs)

    async def around_run(self, job, call_next):
        await call_next()
        return await call_next()

app = Conveyor("memory://", middleware=[Twice()])
"""
KEYS = {
    "store",
    "backend",
    "jobs",
    "add_per_second",
    "add_concurrent_per_second",
    "add_many_per_second",
    "process_per_second",
    "cpu_us_per_job",
    "pickup_ms",
    "rss_mb",
    "cpu_seconds",
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_bench_prints_one_object(backend: str, conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("bench", "--store", "memory://", "--jobs", "300", "--backend", backend, "-o", "json")
    assert ran.code == 0
    assert ran.json.keys() == KEYS
    assert (ran.json["store"], ran.json["backend"], ran.json["jobs"]) == ("memory", backend, 300)
    assert ran.json["pickup_ms"].keys() == {"p50", "p95", "p99"}
    rates = [value for key, value in ran.json.items() if key.endswith("_per_second")]
    assert all(rate > 0 for rate in rates)


def test_bench_leaves_nothing_in_a_store_that_is_used(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"})
    assert conveyor("bench", "--store", "sqlite:///jobs.db", "--jobs", "50", "--concurrency", "3").code == 0
    listed = conveyor("jobs", "list", "--store", "sqlite:///jobs.db", "-o", "json").json["jobs"]
    assert [job["id"] for job in listed] == [job_id]
    assert [queue["name"] for queue in conveyor("queues", "list", "--app", "hello:app", "-o", "json").json] == ["mails"]
    with sqlite3.connect("jobs.db") as connection:
        assert "conveyor-bench" not in "\n".join(connection.iterdump())
    connection.close()


def test_a_job_that_ran_twice_fails_the_bench(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "twice.py").write_text(TWICE)
    ran = conveyor("bench", "--app", "twice:app", "--jobs", "10", "-o", "json")
    assert ran.code == 1
    assert ran.json["jobs"] == 10
    assert "ran more than once" in ran.err


@pytest.mark.parametrize("arguments", [("--jobs", "9"), ("--concurrency", "0")])
def test_bench_refuses_what_cannot_be_measured(arguments: tuple[str, ...], conveyor: Callable[..., Ran]) -> None:
    assert conveyor("bench", "--store", "memory://", *arguments).code == 2


@pytest.mark.parametrize(
    ("samples", "share", "expected"),
    [([], 50, None), ([1.0], 99, 1.0), ([3.0, 1.0, 2.0], 50, 2.0), ([float(n) for n in range(100)], 95, 94.0)],
)
def test_percentiles_are_samples(samples: list[float], share: int, expected: float | None) -> None:
    assert percentile(samples, share) == expected
