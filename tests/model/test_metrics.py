"""Metrics: what is counted of settlements, how times are kept, and what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError
from conveyor.model.job import AttemptOutcome
from conveyor.model.locks import LockToken
from conveyor.model.metrics import (
    HOUR,
    MINUTE,
    RELATIVE_ERROR,
    Histogram,
    Metrics,
    RollUp,
    begin_of,
    bucket_of,
    merged,
    roll_up_of,
    stalls,
    tally,
    upper_seconds,
)
from conveyor.model.retention import Retention
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command

NOW: Final = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
END: Final = Settlement("a", "orders", LockToken("s", 1), Command.COMPLETE, AttemptOutcome.COMPLETED, name="pack")
SECONDS: Final = st.floats(min_value=0, max_value=10_000_000)


@given(SECONDS)
def test_a_time_belongs_to_the_bucket_that_it_is_no_longer_than(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert seconds <= upper_seconds(bucket) * (1 + 1e-9)
    if bucket > -16:
        assert seconds > upper_seconds(bucket - 1) * (1 - 1e-9)


@given(st.lists(st.floats(min_value=0.0001, max_value=1_000_000), min_size=1), st.sampled_from([50, 90, 95, 99, 100]))
def test_a_percentile_is_wrong_by_the_relative_error_at_most(times: list[float], percent: int) -> None:
    buckets: dict[int, int] = {}
    for seconds in sorted(times):
        buckets[bucket_of(seconds)] = buckets.get(bucket_of(seconds), 0) + 1
    rank = -(-len(times) * percent // 100)
    exact = sorted(times)[rank - 1]
    told = Histogram(buckets).percentile(percent)
    assert told is not None
    assert abs(told - exact) <= exact * (RELATIVE_ERROR + 1e-6)


def test_without_times_there_is_no_percentile_and_no_mean() -> None:
    assert (Histogram().percentile(50), Histogram().mean, Histogram().count) == (None, None, 0)


def test_a_time_beyond_the_last_bucket_counts_and_is_told_as_its_lower_end() -> None:
    longest = upper_seconds(125)
    assert bucket_of(longest * 100) == 126
    assert Histogram({126: 1}).percentile(50) == longest


def test_a_histogram_counts_up_to_a_bucket() -> None:
    histogram = Histogram({-16: 1, 0: 2, 4: 3})
    assert [histogram.count_up_to(bucket) for bucket in (-16, -1, 0, 4, 126)] == [1, 1, 3, 6, 6]


def test_ends_are_added_up_by_queue_and_name() -> None:
    ends = [
        evolve(END, wait_seconds=0.002, run_seconds=1.5),
        evolve(END, outcome=AttemptOutcome.RETRIED, wait_seconds=0.002),
        evolve(END, name="unpack"),
        evolve(END, queue_name="emails"),
    ]
    counted = tally(ends)
    assert [(one.queue_name, one.name) for one in counted] == [
        ("emails", "pack"),
        ("orders", "pack"),
        ("orders", "unpack"),
    ]
    assert counted[1].counts == {
        "completed": 1,
        "retried": 1,
        "w4": 2,
        "r43": 1,
        "r-16": 1,
        "wait_us": 4000,
        "run_us": 1_500_000,
    }


def test_nothing_adds_up_to_nothing() -> None:
    assert list(tally([])) == list(stalls([])) == []
    assert merged([]) == {}


def test_a_stall_has_no_times() -> None:
    (one, other) = stalls([("orders", "pack"), ("emails", "pack"), ("orders", "pack")])
    assert (one.queue_name, one.counts, other.counts) == ("emails", {"stalled": 1}, {"stalled": 2})


@given(st.lists(st.tuples(SECONDS, SECONDS)), st.lists(st.tuples(SECONDS, SECONDS)))
def test_counts_add_up_as_if_they_had_been_counted_at_once(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    ends = [[evolve(END, wait_seconds=wait, run_seconds=run) for wait, run in times] for times in (first, second)]
    apart = merged(one.counts for part in ends for one in tally(part))
    assert apart == merged(one.counts for one in tally([*ends[0], *ends[1]]))


def test_what_was_counted_comes_back_as_a_value() -> None:
    (counted,) = tally([evolve(END, wait_seconds=0.002, run_seconds=1.5)])
    told = roll_up_of("orders", "pack", counted.counts, start=NOW, span=MINUTE)
    assert told.outcomes == {AttemptOutcome.COMPLETED: 1}
    assert (told.waits, told.runs) == (
        Histogram({4: 1}, timedelta(milliseconds=2)),
        Histogram({43: 1}, timedelta(seconds=1.5)),
    )


def test_spans_begin_with_minutes_and_hours() -> None:
    assert begin_of(NOW, MINUTE) == NOW.replace(second=0)
    assert begin_of(NOW, HOUR) == NOW.replace(minute=0, second=0)
    assert begin_of(NOW.replace(second=0), MINUTE) == NOW.replace(second=0)


def test_totals_add_the_spans_of_each_name_up() -> None:
    done = {AttemptOutcome.COMPLETED: 1}
    rows = [
        RollUp("orders", "pack", None, None, done, Histogram({0: 1}, MINUTE)),
        RollUp("orders", "pack", NOW, MINUTE, {AttemptOutcome.FAILED: 2}, Histogram({-4: 2, 0: 1}, MINUTE)),
        RollUp("emails", "send", NOW + MINUTE, MINUTE, done),
        RollUp("emails", "send", NOW, MINUTE, done),
    ]
    metrics = Metrics(NOW, None, [], rows)
    emails, orders = metrics.totals()
    assert (emails.queue_name, emails.name, emails.start, emails.count) == ("emails", "send", NOW, 2)
    assert (orders.start, orders.span) == (None, None)
    assert orders.outcomes == {AttemptOutcome.COMPLETED: 1, AttemptOutcome.FAILED: 2}
    assert orders.waits == Histogram({-4: 2, 0: 2}, 2 * MINUTE)
    assert (metrics.total().count, metrics.total("emails").count, metrics.total("nowhere").count) == (5, 2, 0)


@pytest.mark.parametrize("option", ["metric_minutes", "metric_hours"])
@pytest.mark.parametrize("value", [0, "0s", -1])
def test_how_long_metrics_are_kept_is_longer_than_zero(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=option):
        Retention(**{option: value})  # type: ignore[arg-type] # wrong values are what is tested
