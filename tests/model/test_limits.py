"""What limits refuse, and the arithmetic of rates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec import decode_limits, encode_limits
from conveyor.errors import ConfigurationError
from conveyor.model.groups import Group
from conveyor.model.limits import (
    GroupLimits,
    LimitScope,
    NameLimits,
    QueueLimits,
    RateLimit,
    completed,
    differing,
    forgotten,
)
from conveyor.model.options import JobOptions
from conveyor.model.rates import TURN, bucket_level, bucket_room_at, next_turn, window_room_at

TEN = RateLimit(10, "1s")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: RateLimit(0, "1s"), "max"),
        (lambda: RateLimit(-1, "1s"), "max"),
        (lambda: RateLimit(1, 0), "per"),
        (lambda: RateLimit(1, "soon"), "per"),
        (lambda: RateLimit(1, "1s", key="tenant"), "key"),  # type: ignore[arg-type]
        (lambda: RateLimit(1, "1s", burst=0), "burst"),
        (lambda: RateLimit(5, "1s", weights={"a": 6}), "weights"),
        (lambda: RateLimit(5, "1s", burst=2, weights={"a": 3}), "weights"),
        (lambda: RateLimit(5, "1s", weights={"a": 0}), "weights"),
        (lambda: RateLimit(10**9, "1000 days"), "counted"),
        (lambda: GroupLimits(concurrency=0), "concurrency"),
        (lambda: GroupLimits(limiter=RateLimit(1, 1, key="name")), "key"),
        (lambda: GroupLimits(weights={"a": 1.5}), "weights"),  # type: ignore[dict-item]
        (lambda: NameLimits(concurrency=True), "concurrency"),
        (lambda: NameLimits(limiter=5), "limiter"),  # type: ignore[arg-type]
        (lambda: QueueLimits(max_global_concurrency=0), "max_global_concurrency"),
        (lambda: QueueLimits(limiter="fast"), "limiter"),  # type: ignore[arg-type]
        (lambda: QueueLimits(group=3), "group"),  # type: ignore[arg-type]
        (lambda: QueueLimits(names={"a": 3}), "names"),  # type: ignore[dict-item]
        (lambda: QueueLimits(names={"": NameLimits()}), "names"),
        (lambda: Group(""), "group id"),
        (lambda: Group("a", max_size=0), "max_size"),
        (lambda: JobOptions(group=7), "group"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()


def test_a_group_may_be_given_by_its_id() -> None:
    assert JobOptions(group="acme").group == Group("acme")


rates = st.none() | st.builds(
    RateLimit,
    st.integers(1, 1000),
    st.timedeltas(timedelta(microseconds=1), timedelta(days=1)),
    burst=st.none() | st.integers(1, 1000),
)
counts = st.none() | st.integers(1, 2**31)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=9)
limits = st.builds(
    QueueLimits,
    counts,
    rates,
    st.none() | st.builds(GroupLimits, counts, rates, st.dictionaries(words, st.integers(1, 1000))),
    st.dictionaries(words, st.builds(NameLimits, counts, rates)),
)


@given(limits)
def test_limits_come_back_from_json_as_they_were(held: QueueLimits) -> None:
    assert decode_limits(encode_limits(held)) == held


@given(limits, limits)
def test_what_was_declared_over_what_was_held_differs_only_where_both_say_something(
    declared: QueueLimits, held: QueueLimits
) -> None:
    whole = completed(held, declared)
    for _, wanted, found in differing(declared, whole):
        assert wanted
        assert found
    assert list(differing(held, whole)) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=60), st.integers(5, 9))
def test_no_stretch_of_a_window_has_more_than_its_most(asked: list[tuple[int, int]], most: int) -> None:
    limiter = RateLimit(most, timedelta(microseconds=100))
    now, starts = 0, list[tuple[int, int]]()
    for wait, weight in asked:
        now += wait
        used = [(at, weighs) for at, weighs in starts if at > now - 100]
        now = window_room_at(used, sum(weighs for _, weighs in used), limiter, weight, now)
        starts.append((now, weight))
    for at, _ in starts:
        assert sum(weight for other, weight in starts if at <= other < at + 100) <= most


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 4)), max_size=60), st.integers(4, 9), st.integers(1, 20))
def test_a_bucket_gives_no_more_than_its_burst_and_its_rate(
    asked: list[tuple[int, int]], burst: int, most: int
) -> None:
    limiter = RateLimit(most, timedelta(microseconds=100), burst=burst)
    now, at, level, starts = 0, 0, 0, list[tuple[int, int]]()
    for wait, weight in asked:
        now += wait
        level, at = bucket_level(level, at, limiter, now), now
        now = bucket_room_at(level, limiter, weight, now)
        level, at = bucket_level(level, at, limiter, now), now
        assert bucket_room_at(level, limiter, weight, now) == now
        level += weight * 100
        starts.append((now, weight))
    for first, (begin, _) in enumerate(starts):
        for last, (end, _) in enumerate(starts[first:], first):
            used = sum(weight for _, weight in starts[first : last + 1])
            assert used * 100 <= burst * 100 + (end - begin) * most


def test_a_window_has_room_at_the_very_moment_a_start_leaves_it() -> None:
    assert window_room_at([(5, 10)], 10, TEN, 1, 6) == 1_000_005


def test_a_group_of_twice_the_weight_moves_half_as_far() -> None:
    assert next_turn(0, 1) == TURN == 2 * next_turn(0, 2)


def test_what_was_counted_is_forgotten_with_the_kind_of_a_rate() -> None:
    window, bucket = QueueLimits(limiter=RateLimit(5, 1)), QueueLimits(limiter=RateLimit(5, 1, burst=5))
    assert not forgotten(window, QueueLimits(limiter=RateLimit(9, 60)), LimitScope.QUEUE, "")
    assert forgotten(window, bucket, LimitScope.QUEUE, "")
    assert forgotten(window, QueueLimits(), LimitScope.QUEUE, "")
    assert forgotten(window, QueueLimits(limiter=RateLimit(5, 1, key="name")), LimitScope.QUEUE, "")
