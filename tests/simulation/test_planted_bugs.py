"""The simulation is tested itself: each bug planted in the runtime is found within a fixed number of seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from tests.simulation.bugs import BUGS, planted
from tests.simulation.checker import check
from tests.simulation.plan import make_plan
from tests.simulation.world import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.plan import Plan

MOST_SEEDS: Final = 1000
# Those of them that found something lately are tried first. A change of the runtime moves what a seed does, so these
# may become worthless: the test is slower then, and new ones are found by trying all.
TELLING_SEEDS: Final = (2, 8, 22, 31, 44, 59, 73, 76, 96, 123, 243, 468, 535)
# What must happen more often than it is drawn, for a bug that needs it to come at the right moment.
MORE_OF: Final[Mapping[str, Mapping[str, Any]]] = {
    "the thread does not renew while the loop is blocked": {"blocks": 8},
}


def plan_for(name: str, seed: int) -> Plan:
    """Return what a seed plans, with more of what the bug needs."""
    plan = make_plan(seed)
    return plan if plan.is_calm else evolve(plan, **MORE_OF.get(name, {}))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    with planted(name):
        assert any(check(*simulate(seed, plan_for(name, seed))) for seed in (*TELLING_SEEDS, *range(MOST_SEEDS)))


@pytest.mark.parametrize("name", MORE_OF)
def test_what_makes_a_bug_likely_breaks_nothing_by_itself(name: str) -> None:
    assert [seed for seed in TELLING_SEEDS if check(*simulate(seed, plan_for(name, seed)))] == []
