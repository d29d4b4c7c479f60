"""The floors of the benchmarks: they use the store's own statements, and must still know what these take."""

from __future__ import annotations

import pytest
from benchmarks import floors
from benchmarks.children import started

JOBS = 300


@pytest.mark.parametrize("name", floors.FLOORS)
def test_a_floor_adds_and_runs_all_its_jobs(server_url: str, name: str) -> None:
    assert floors.measure(server_url, name, JOBS) > 0


def test_the_floor_of_pickups_adds_and_fetches(server_url: str) -> None:
    with started("benchmarks.pickups", server_url, "asyncio", "bare") as bare:
        bare.say("go")
        assert float(bare.hear()) > 0
