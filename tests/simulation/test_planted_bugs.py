"""The simulation is tested itself: each bug planted in the runtime is found within a fixed number of seeds."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.bugs import BUGS, planted
from tests.simulation.checker import check
from tests.simulation.world import simulate

MOST_SEEDS: Final = 1000


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    with planted(name):
        assert any(check(*simulate(seed)) for seed in range(MOST_SEEDS))
