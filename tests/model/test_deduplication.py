"""Deduplication as a value: what contradicts itself is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.deduplication import (
    CHANGEABLE_STATES,
    OUTCOMES,
    Deduplication,
    DeduplicationMode,
    add_digest,
    is_held,
)
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions, parse_job_keywords
from conveyor.model.states import LIVE_STATES, JobState

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "either key= or hash=True"),
    ({"key": "a", "hash": True}, "either key= or hash=True"),
    *[({"key": key}, "key of Deduplication") for key in ("", "x" * 256, "a\nb", 5, "\ud800")],
    *[({"hash": value}, "hash") for value in (1, "yes", None)],
    *[({"key": "a", "ttl": ttl}, "ttl of Deduplication") for ttl in (0, -1, "soon", timedelta(0), True)],
    *[({"key": "a", "mode": mode}, "mode of Deduplication must be one of keep") for mode in ("unique", "", None, 3)],
    *[
        ({"key": "a", "states": states}, "states of Deduplication")
        for states in ([], "waiting", ["running"], 7, [None])
    ],
    ({"key": "a", "mode": "throttle"}, "needs ttl="),
    ({"key": "a", "mode": "throttle", "ttl": 5, "states": ["waiting"]}, "takes no states"),
    *[
        ({"key": "a", "mode": mode, "states": ["waiting", state]}, "its states can be delayed, waiting")
        for mode in ("replace", "debounce")
        for state in ("active", "completed", "waiting_children")
    ],
]


@pytest.mark.parametrize(("given_values", "reason"), REFUSED)
def test_what_contradicts_itself_is_refused_by_name(given_values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Deduplication(**given_values)


@pytest.mark.parametrize(
    ("asked", "held_in"),
    [
        (Deduplication(key="a"), LIVE_STATES),
        (Deduplication(key="a", mode="reject"), LIVE_STATES),
        (Deduplication(key="a", mode="throttle", ttl=1), LIVE_STATES),
        (Deduplication(key="a", mode="replace"), CHANGEABLE_STATES),
        (Deduplication(key="a", mode="debounce"), CHANGEABLE_STATES),
        (Deduplication(key="a", states=["failed"]), {JobState.FAILED}),
    ],
)
def test_each_mode_has_its_own_states(asked: Deduplication, held_in: frozenset[JobState]) -> None:
    assert asked.held_in == held_in


def test_every_mode_has_an_answer_of_its_own() -> None:
    assert len(set(OUTCOMES.values())) == len(OUTCOMES) == len(DeduplicationMode)


def test_another_key_leaves_all_else() -> None:
    hashed = Deduplication(hash=True, ttl=5, mode="reject").with_key("a")
    assert hashed == Deduplication(key="a", ttl=5, mode="reject")


def test_the_digest_of_an_add_tells_every_part() -> None:
    jobs = [("a", "b", "c", b"d"), ("x", "b", "c", b"d"), ("a", "x", "c", b"d"), ("a", "b", "x", b"d")]
    jobs += [("a", "b", "c", b"x"), ("ab", "", "c", b"d"), ("a", "b", "cd", b"")]
    assert len({add_digest(NewJob(*job, JobOptions())) for job in jobs}) == len(jobs)
    assert {len(add_digest(NewJob(*job, JobOptions()))) for job in jobs} == {16}


def test_a_window_holds_without_its_job_for_those_who_throttle_only() -> None:
    throttle, keep = Deduplication(key="a", mode="throttle", ttl=1), Deduplication(key="a")
    assert is_held(throttle, None, has_window=True)
    assert not is_held(throttle, None, has_window=False)
    assert not is_held(keep, None, has_window=True)
    assert is_held(keep, JobState.ACTIVE, has_window=False)
    assert not is_held(keep, JobState.COMPLETED, has_window=False)


def test_debouncing_without_a_delay_is_refused() -> None:
    debounce = Deduplication(key="a", mode="debounce")
    with pytest.raises(ConfigurationError, match="give it a delay"):
        parse_job_keywords({"deduplication": debounce}, JobOptions())
    _, placement = parse_job_keywords({"deduplication": debounce, "delay": 5}, JobOptions())
    assert placement.deduplication is debounce
    with pytest.raises(ConfigurationError, match="give it a delay"):
        parse_job_keywords({"delay": None}, JobOptions(), placement)


@pytest.mark.parametrize("value", ["order-17", {"key": "a"}, True])
def test_a_deduplication_of_another_kind_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="deduplication must be made by"):
        parse_job_keywords({"deduplication": value}, JobOptions())


def test_none_takes_a_default_away() -> None:
    _, placement = parse_job_keywords({"deduplication": Deduplication(key="a")}, JobOptions())
    assert parse_job_keywords({"deduplication": None}, JobOptions(), placement)[1].deduplication is None
