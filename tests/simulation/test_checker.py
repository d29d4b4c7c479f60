"""The checker finds what a history must not hold, and nothing where all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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


def noted(*events: tuple[float, str, str, str, LockToken | None, str], **planned: Any) -> list[str]:
    """Return what is wrong with a history of these events, beside how its jobs ended."""
    jobs = [PlannedJob(job_id, "left", 0, 1.0, **planned) for job_id in ("i", "j", "k")]
    plan = Plan(0, jobs, 2, 2, 0, 1.0)
    heard = [
        Event(at, kind, who, job_id, token, detail, store_at=at) for at, kind, who, job_id, token, detail in events
    ]
    history = History(heard, {"a": "w1", "b": "w2"})
    return [line for line in check(plan, history) if not line.startswith("end ")]


ADDED: Final = (0.0, "added", "", "j", None, "")
OPENED: Final = (0.0, "opened", "w1", "", None, "")


@pytest.mark.parametrize(
    ("sentence", "events", "planned"),
    [
        (
            "started though it had expired since",
            [(1.0, "fetched", "w1", "j", FIRST, ""), (3.0, "started", "w1", "j", FIRST, "")],
            {"expires_seconds": 2.0},
        ),
        ("fetched though it had expired", [(3.0, "fetched", "w1", "j", FIRST, "")], {"expires_seconds": 2.0}),
        (
            "in spite of its timeout",
            [
                (1.0, "fetched", "w1", "j", FIRST, ""),
                (1.0, "started", "w1", "j", FIRST, ""),
                (4.0, "ended", "w1", "j", FIRST, "ended"),
            ],
            {"timeout_seconds": 1.0},
        ),
        (
            "before the lines of its run were written",
            [
                (1.0, "fetched", "w1", "j", FIRST, ""),
                (1.0, "started", "w1", "j", FIRST, ""),
                (2.0, "ended", "w1", "j", FIRST, "ended"),
                (2.0, "settled", "w1", "j", FIRST, "completed"),
            ],
            {"lines": 1},
        ),
        (
            "ran on 14.0 s after its lock was cancelled",
            [
                (1.0, "fetched", "w1", "j", FIRST, ""),
                (1.0, "started", "w1", "j", FIRST, ""),
                (2.0, "cancelled", "", "j", None, ""),
                (16.0, "ended", "w1", "j", FIRST, "ended"),
            ],
            {},
        ),
        (
            "left without handing back j",
            [
                (1.0, "fetched", "w1", "j", FIRST, ""),
                (1.0, "stopping", "w1", "", None, ""),
                (2.0, "left", "w1", "", None, ""),
            ],
            {},
        ),
        ("w1 never left", [(1.0, "stopping", "w1", "", None, ""), (90.0, "over", "", "", None, "")], {}),
        (
            "took 29.0 s to stop",
            [(1.0, "stopping", "w1", "", None, ""), (30.0, "left", "w1", "", None, "")],
            {},
        ),
        (
            "j waited 8.0 s for a worker that had a free slot",
            [OPENED, (2.0, "waits", "", "j", None, "left"), (10.0, "healed", "", "", None, "")],
            {},
        ),
        (
            "j waited 6.5 s for a worker that had a free slot",
            [
                OPENED,
                (0.0, "waits", "", "k", None, "left suspect"),
                (1.0, "waits", "", "j", None, "left"),
                (2.0, "fetched", "w1", "i", FIRST, ""),
                (2.0, "started", "w1", "i", FIRST, ""),
                (12.0, "ended", "w1", "i", FIRST, "ended"),
                (20.0, "healed", "", "", None, ""),
            ],
            {},
        ),
        (
            "j had to let a second suspect pass, after 9.0 s",
            [
                OPENED,
                (0.0, "waits", "", "k", None, "left suspect"),
                (1.0, "waits", "", "j", None, "left"),
                (2.0, "fetched", "w1", "k", FIRST, ""),
                (2.0, "taken", "", "k", None, ""),
                (2.0, "started", "w1", "k", FIRST, ""),
                (9.0, "ended", "w1", "k", FIRST, "ended"),
                (9.0, "waits", "", "k", None, "left suspect"),
                (10.0, "fetched", "w1", "k", LockToken("a", 2), ""),
            ],
            {},
        ),
        ("promoted 6.0 s late", [OPENED, (9.0, "promoted", "", "j", None, "6.0")], {}),
        (
            "fetched 9.0 s before it released",
            [OPENED, (1.0, "fetched", "w1", "j", FIRST, ""), (10.0, "released", "w1", "j", FIRST, "")],
            {},
        ),
        (
            "a suspect did not run alone",
            [
                (1.0, "killed", "w2", "", None, ""),
                (0.0, "fetched", "w2", "j", SECOND, ""),
                (8.0, "reclaimed", "w2", "j", SECOND, "waiting"),
                (8.0, "fetched", "w1", "j", FIRST, ""),
                (8.0, "started", "w1", "j", FIRST, ""),
                (8.0, "fetched", "w1", "k", FIRST, ""),
                (8.0, "started", "w1", "k", FIRST, ""),
            ],
            {},
        ),
    ],
)
def test_more_that_a_history_must_not_hold_is_named(sentence: str, events: list[Any], planned: dict[str, Any]) -> None:
    assert any(sentence in line for line in noted(ADDED, *events, **planned))


def test_what_was_fetched_before_it_stalled_is_no_suspect() -> None:
    lines = noted(
        ADDED,
        (0.0, "fetched", "w1", "j", FIRST, ""),
        (8.0, "reclaimed", "w1", "j", FIRST, "waiting"),
        (8.0, "started", "w1", "k", FIRST, ""),
        (8.0, "started", "w1", "j", FIRST, ""),
    )
    assert not any("a suspect did not run alone" in line for line in lines)


def test_nobody_else_is_fetched_while_a_worker_makes_room_for_a_suspect() -> None:
    lines = noted(
        ADDED,
        OPENED,
        (0.0, "fetched", "w1", "i", FIRST, ""),
        (0.0, "started", "w1", "i", FIRST, ""),
        (1.0, "waits", "", "k", None, "left suspect"),
        (1.0, "waits", "", "j", None, "left"),
        (20.0, "ended", "w1", "i", FIRST, "ended"),
        (20.0, "fetched", "w1", "k", FIRST, ""),
        (20.0, "taken", "", "k", None, ""),
        (20.0, "started", "w1", "k", FIRST, ""),
        (40.0, "ended", "w1", "k", FIRST, "ended"),
        (40.0, "taken", "", "j", None, ""),
    )
    assert not any("j waited" in line or "had to let" in line for line in lines)


def test_a_share_that_is_not_its_queues_is_named() -> None:
    jobs = [PlannedJob(f"{queue} {number}", queue, 0, 0) for queue in ("left", "right") for number in range(8)]
    plan = Plan(0, jobs, 1, 1, 0, 1.0, weights={"left": 1, "right": 3}, is_calm=True)
    names = [job.id for job in jobs]
    history = History([*(Event(0, "added", "", name) for name in names)])
    history.events += [Event(1, "started", "w1", name, LockToken("a", n)) for n, name in enumerate(names)]
    assert any("weights" in line for line in check(plan, history))
