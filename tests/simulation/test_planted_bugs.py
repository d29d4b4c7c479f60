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
# Which seed found each bug lately: it is tried first, those of the others next. A change of the runtime moves what a
# seed does, so one may become worthless: its test takes seconds then, where it took a tenth. The new one is the first
# of all seeds for which the check below finds something.
FOUND_BY: Final = {
    "the end of trust is ignored": 80,
    "trust never ends": 80,
    "a settlement that failed is taken for written": 8,
    "the outbox keeps nothing until it is confirmed": 56,
    "nothing is handed back on shutdown": 8,
    "the fetcher hears nothing and never polls": 22,
    "locks are not renewed": 2,
    "a hand-back is charged as an attempt": 2,
    "jobs of a late answer are started though their locks may be over": 42,
    "a run that was stopped when trust ended is forgotten": 243,
    "a lost session is not opened again": 22,
    "nobody looks for stalled jobs": 2,
    "a fetch that brought too little leaves its room empty": 31,
    "every wake-up puts the polling off": 535,
    "a job is started whose time to start went by on the way": 96,
    "a run may end between its reports and its settlement": 243,
    "suspects run beside others": 2,
    "suspects leave the others no turn": 26,
    "the weights of queues are ignored": 31,
    "a worker that wants the newest gets the oldest": 123,
    "jobs fetched ahead stay, however long they do not start": 44,
    "a stopping worker waits for its handlers as long as they like": 51,
    "timeouts are not watched": 8,
    "news of a lost lock does not reach the run": 9,
    "the promoter does not hear that jobs were put off": 1,
    "the thread does not renew while the loop is blocked": 8,
}
TELLING_SEEDS: Final = tuple(sorted(set(FOUND_BY.values())))
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
    seeds = (FOUND_BY[name], *TELLING_SEEDS, *range(MOST_SEEDS))
    with planted(name):
        assert any(check(*simulate(seed, plan_for(name, seed))) for seed in seeds)


@pytest.mark.parametrize("name", MORE_OF)
def test_what_makes_a_bug_likely_breaks_nothing_by_itself(name: str) -> None:
    assert [seed for seed in TELLING_SEEDS if check(*simulate(seed, plan_for(name, seed)))] == []
