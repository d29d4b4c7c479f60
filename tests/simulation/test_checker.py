"""The checker finds what a history must not hold, and nothing where all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from conveyor.model.locks import LockToken
from conveyor.model.options import JobOptions
from conveyor.model.states import JobState
from conveyor.testing import make_job
from tests.simulation.checker import check
from tests.simulation.history import Event, History
from tests.simulation.plan import Plan, PlannedJob

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN = Plan(0, [PlannedJob("j", "left", 0, 1.0, attempts=2)], 2, 2, 0, 1.0)
FIRST, SECOND = LockToken("a", 1), LockToken("b", 1)
Told = tuple[float, str, str, LockToken | None, str]


def told(*events: Told, **final: Any) -> History:
    """Return a history of one job that was added and fetched by w1 under the first lock."""
    begin: list[Told] = [(0, "added", "", None, ""), (1, "fetched", "w1", FIRST, ""), (1, "started", "w1", FIRST, "")]
    noted = [
        Event(
            at, kind, process, "j" if token or kind in ("added", "cancelled") else "", token, detail, kind == "settled"
        )
        for at, kind, process, token, detail in (*begin, *events)
    ]
    fields: dict[str, Any] = {
        "state": JobState.COMPLETED,
        "attempts_made": 1,
        "options": JobOptions(attempts=2),
    } | final
    return History(noted, {"a": "w1", "b": "w2"}, {"j": evolve(make_job(id="j"), **fields)})


ENDED: Told = (2, "ended", "w1", FIRST, "ended")
STOPPED: Told = (2, "ended", "w1", FIRST, "stopped")
SETTLED: Told = (3, "settled", "w1", FIRST, "completed")


def test_a_good_history_has_no_fault() -> None:
    assert check(PLAN, told(ENDED, SETTLED)) == []


def test_a_settlement_written_again_is_no_fault() -> None:
    assert check(PLAN, told(ENDED, SETTLED, SETTLED)) == []


def test_what_a_freeze_explains_is_no_fault() -> None:
    frozen: list[Told] = [(1.5, "frozen", "w1", None, ""), (8, "reclaimed", "w1", FIRST, "waiting")]
    again: list[Told] = [(8, "fetched", "w2", SECOND, ""), (8, "started", "w2", SECOND, "")]
    ends: list[Told] = [(9, "ended", "w2", SECOND, "ended"), (9, "settled", "w2", SECOND, "completed")]
    thawed: list[Told] = [(10, "thawed", "w1", None, ""), (10, "ended", "w1", FIRST, "ended")]
    assert check(PLAN, told(*frozen, *again, *ends, *thawed, stalled_count=1)) == []


@pytest.mark.parametrize(
    ("sentence", "events"),
    [
        ("no longer owns the job was accepted", [ENDED, SETTLED, (4, "settled", "w2", SECOND, "failed")]),
        ("fetched though it was active", [(2, "fetched", "w2", SECOND, "")]),
        ("fetched though it was completed", [ENDED, SETTLED, (4, "fetched", "w2", SECOND, "")]),
        ("settled while its handler runs", [SETTLED]),
        ("was stopped from outside was charged", [STOPPED, (3, "settled", "w1", FIRST, "retried")]),
        ("that had come to its end was thrown away", [ENDED, (3, "released", "w1", FIRST, "")]),
        ("though its worker was healthy", [(8, "reclaimed", "w1", FIRST, "waiting")]),
        ("in a worker that could tell", [(8, "reclaimed", "w1", FIRST, "waiting")]),
        ("owns the job was refused", [ENDED, (3, "refused", "w1", FIRST, "completed")]),
        ("started after its lock was released", [(2, "fetched", "w2", SECOND, "")]),
        ("started a second time under one lock", [ENDED, (3, "started", "w1", FIRST, "")]),
        ("the worker crashed", [ENDED, SETTLED, (4, "crashed", "w1", None, "Oops()")]),
    ],
)
def test_a_broken_promise_is_named(sentence: str, events: Sequence[Told]) -> None:
    if "after its lock" in sentence:
        history = told(ENDED, SETTLED)
        history.events.insert(2, Event(1, "released", "w1", "j", FIRST))
    else:
        history = told(*events)
    assert any(sentence in line for line in check(PLAN, history))


@pytest.mark.parametrize(
    ("sentence", "final"),
    [
        ("still waiting", {"state": JobState.WAITING}),
        ("the history says completed", {"state": JobState.CANCELLED}),
        ("2 attempts and 0 stalls were charged", {"attempts_made": 2}),
        ("0 attempts and 3 stalls were charged", {"attempts_made": 0, "stalled_count": 3}),
        ("failed though its handler never would", {"state": JobState.FAILED}),
    ],
)
def test_a_wrong_end_is_named(sentence: str, final: dict[str, Any]) -> None:
    assert any(sentence in line for line in check(PLAN, told(ENDED, SETTLED, **({"attempts_made": 1} | final))))


def test_a_lost_job_is_named() -> None:
    history = told(ENDED, SETTLED)
    history.final.clear()
    assert check(PLAN, history) == ["end j: lost"]


def test_a_wrong_order_is_named() -> None:
    jobs = [PlannedJob("one", "left", 0, 0), PlannedJob("two", "left", 0, 0, priority=-1)]
    plan = Plan(0, jobs, 1, 1, 0, 1.0, is_calm=True)
    events = [Event(0, "added", "", name) for name in ("one", "two")]
    history = History([*events, Event(1, "fetched", "w1", "one", FIRST), Event(1, "started", "w1", "one", FIRST)])
    assert any("should have been two one" in line for line in check(plan, history))
