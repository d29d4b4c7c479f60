"""What the checker knows of limits, flows, schedules and retention: it names what breaks them, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor.model.limits import QueueLimits, RateLimit
from conveyor.model.locks import LockToken
from conveyor.model.retention import Retention
from tests.simulation.checker import check
from tests.simulation.features import Features, PlannedFlow, PlannedSchedule
from tests.simulation.history import Event, History
from tests.simulation.plan import Plan, PlannedJob

FEATURES = Features(
    {},
    flows=[PlannedFlow(["child", "top"], [("top", "child")], 0.0)],
    schedules=[PlannedSchedule("tick", "left", 0.0, 10, 9, "skip", "one", 1.0)],
    retention=Retention(max_age="20s", max_count=2),
)
JOBS = [PlannedJob(job_id, "left", 0.0, 1.0, keep_seconds=5.0) for job_id in ("j", "k", "child", "top")]
FIRST, SECOND, THIRD = (LockToken("a", number) for number in (1, 2, 3))


def judged(*events: tuple[float, str, str, LockToken | None, str], limits: QueueLimits | None = None) -> list[str]:
    """Return what is wrong with a history of these events of one worker."""
    heard = [Event(at, kind, "w1", job_id, token, detail, store_at=at) for at, kind, job_id, token, detail in events]
    history = History(heard, {"a": "w1"})
    history.limits.append(limits or QueueLimits())
    return check(Plan(0, JOBS, 1, 4, 0, 1.0, features=FEATURES), history)


TWO_FETCHED = [
    (0.0, "limited", "", None, "left 0"),
    (1.0, "fetched", "j", FIRST, ""),
    (1.5, "fetched", "k", SECOND, ""),
]
FLOW: list[Any] = [
    (0.0, "added", "child", None, ""),
    (0.0, "added", "top", None, ""),
    (0.0, "awaits", "top", None, ""),
    (1.0, "fetched", "child", FIRST, ""),
]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (QueueLimits(1), "started beside 1 others"),
        (QueueLimits(limiter=RateLimit(1, 2)), "started 1.500 s before"),
        (QueueLimits(limiter=RateLimit(1, 2, burst=1)), "started 1.500 s before"),
    ],
)
def test_a_limit_that_was_exceeded_is_named(limits: QueueLimits, sentence: str) -> None:
    assert any(sentence in line for line in judged(*TWO_FETCHED, limits=limits))


@pytest.mark.parametrize("limits", [QueueLimits(2), QueueLimits(limiter=RateLimit(2, 2, burst=2))])
def test_limits_that_were_just_met_are_kept(limits: QueueLimits) -> None:
    assert not any("started" in line for line in judged(*TWO_FETCHED, limits=limits))


def test_the_same_fetch_again_is_no_other_start() -> None:
    again = (1.2, "fetched", "j", FIRST, "")
    assert not any("started" in line for line in judged(*TWO_FETCHED[:2], again, limits=QueueLimits(1)))


def test_a_parent_that_goes_on_too_soon_is_named() -> None:
    gone_on = (2.0, "awaits_no_more", "top", None, "waiting")
    assert any(
        "before its children had ended: child" in line for line in judged(*FLOW, gone_on, (3.0, "over", "", None, ""))
    )


def test_a_parent_that_was_not_told_is_named() -> None:
    ends: list[Any] = [(2.0, "settled", "child", FIRST, "completed"), (3.0, "over", "", None, "")]
    assert any("top was not told" in line for line in judged(*FLOW, *ends))


def test_a_parent_that_outlives_what_it_may_not_is_named() -> None:
    ends: list[Any] = [(2.0, "settled", "child", FIRST, "failed"), (2.0, "awaits_no_more", "top", None, "waiting")]
    assert any("goes on in spite" in line for line in judged(*FLOW, *ends, (3.0, "over", "", None, "")))


def test_a_parent_that_was_told_in_time_is_no_fault() -> None:
    ends: list[Any] = [(2.0, "settled", "child", FIRST, "completed"), (2.0, "awaits_no_more", "top", None, "waiting")]
    found = judged(*FLOW, *ends, (2.0, "fetched", "top", SECOND, ""), (3.0, "over", "", None, ""))
    assert not any("children" in line or "goes on" in line for line in found)


MADE = (0.0, "scheduled", "", None, "tick 0.0")


@pytest.mark.parametrize(
    ("sentence", "ticks"),
    [
        ("tick 1 fired after tick 1", ["tick fired 10.0 10.0", "tick fired 10.0 10.5"]),
        ("which is no tick that was due", ["tick fired 12.0 13.0"]),
        ("which is no tick that was due", ["tick fired 20.0 13.0"]),
        ("fired though a later one was due", ["tick fired 10.0 25.0"]),
        ("tick 1 was skipped", ["tick skipped 10.0 10.0"]),
    ],
)
def test_a_tick_that_should_not_be_is_named(sentence: str, ticks: list[str]) -> None:
    fired = [(10.0, "ticked", "", None, detail) for detail in ticks]
    assert any(sentence in line for line in judged(MADE, *fired))


def test_a_tick_beside_a_job_that_it_should_let_be_is_named() -> None:
    first = (10.0, "ticked", "tick@1", None, "tick fired 10.0 10.0")
    second = (20.0, "ticked", "tick@2", None, "tick fired 20.0 20.0")
    assert any(
        "fired beside tick@1" in line for line in judged(MADE, first, (10.0, "added", "tick@1", None, ""), second)
    )


@pytest.mark.parametrize("detail", ["completed 6.0 0", "failed 21.0 0", "failed 1.0 2"])
def test_what_is_outdated_may_go(detail: str) -> None:
    assert not any("was removed" in line for line in judged((30.0, "outdated", "j", None, detail)))


@pytest.mark.parametrize("detail", ["completed 4.0 0", "failed 6.0 1"])
def test_what_went_too_soon_is_named(detail: str) -> None:
    assert any("and was removed" in line for line in judged((30.0, "outdated", "j", None, detail)))
