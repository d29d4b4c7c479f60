"""Ticks: intervals, cron expressions, clock changes, the last of many, jitter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.model.schedules.parsing import parse_rule
from conveyor.model.schedules.ticks import delayed_by_jitter, last_ticks, ticks_after
from conveyor.model.schedules.values import ScheduleRule

START = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
# Of zones that change by an hour, by half an hour, at midnight, and never.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "UTC")
EXPRESSIONS = (
    "30 2 * * *",
    "0,30 0-3 * * *",
    "*/20 * * * *",
    "15 */2 * * *",
    "59 23 * * sun",
    "0 0 1 * *",
    "10 30 2 * * *",
    "*/25 * 1 * * *",
)


def local(rule: ScheduleRule, day: datetime, count: int) -> list[str]:
    """Return the first ticks after a time in Berlin, as its clocks show them."""
    found = islice(ticks_after(rule, START, day), count)
    return [tick.astimezone(BERLIN).strftime("%d %H:%M:%S%z") for tick in found]


def berlin(expression: str) -> ScheduleRule:
    return parse_rule({"cron": expression, "tz": "Europe/Berlin"})


def test_an_interval_is_counted_from_the_anchor_which_is_no_tick() -> None:
    rule = parse_rule({"every": "90 minutes"})
    assert list(islice(ticks_after(rule, START, START), 2)) == [START + 1.5 * HOUR, START + 3 * HOUR]
    late = START + 100 * HOUR + timedelta(seconds=1)
    assert next(ticks_after(rule, START, late)) == START + 100.5 * HOUR


def test_a_start_is_the_first_tick_of_an_interval_and_none_is_at_its_end() -> None:
    rule = parse_rule({"every": HOUR, "start": START + HOUR / 2, "end": START + 2.5 * HOUR})
    assert list(ticks_after(rule, START, START)) == [START + 0.5 * HOUR, START + 1.5 * HOUR]


def test_a_start_that_matches_an_expression_is_a_tick() -> None:
    rule = parse_rule({"cron": "0 9 * * *", "start": START + 9 * HOUR})
    assert next(ticks_after(rule, START, START)) == START + 9 * HOUR


def test_six_fields_have_the_seconds_first() -> None:
    rule = parse_rule({"cron": "*/30 1 * * * *"})
    found = [tick - START for tick in islice(ticks_after(rule, START, START), 3)]
    assert found == [timedelta(seconds=60), timedelta(seconds=90), HOUR + timedelta(seconds=60)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["29 03:00:00+0200", "30 02:30:00+0200"]),
        ("15 30 2 * * *", ["29 03:00:15+0200", "30 02:30:15+0200"]),
        ("30 * * * *", ["29 01:30:00+0100", "29 03:30:00+0200"]),
        ("0,30 2,3 * * *", ["29 03:00:00+0200", "29 03:30:00+0200", "30 02:00:00+0200"]),
    ],
)
def test_a_time_that_the_clock_leaves_out_comes_when_it_goes_on(expression: str, expected: list[str]) -> None:
    assert local(berlin(expression), datetime(2026, 3, 29, 1, tzinfo=BERLIN), len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["25 02:30:00+0200", "26 02:30:00+0100"]),
        ("15 30 2 * * *", ["25 02:30:15+0200", "26 02:30:15+0100"]),
        ("30 * * * *", ["25 02:30:00+0200", "25 02:30:00+0100", "25 03:30:00+0100"]),
    ],
)
def test_a_time_that_comes_twice_counts_once_but_each_hour_counts(expression: str, expected: list[str]) -> None:
    assert local(berlin(expression), datetime(2026, 10, 25, 2, tzinfo=BERLIN), len(expected)) == expected


@pytest.mark.parametrize("minute", [0, 10, 30, 50])
def test_within_the_hour_that_comes_again_no_tick_is_repeated(minute: int) -> None:
    after = datetime(2026, 10, 25, 2, minute, fold=1, tzinfo=BERLIN).astimezone(UTC)
    assert next(ticks_after(berlin("30 2 * * *"), START, after)) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@settings(max_examples=150, deadline=None)
@given(
    expression=st.sampled_from(EXPRESSIONS),
    zone=st.sampled_from(ZONES),
    seconds=st.integers(0, 366 * 86_400),
    jump=st.integers(0, 5 * 86_400),
)
def test_ticks_rise_and_are_the_same_wherever_one_begins_to_look(
    expression: str, zone: str, seconds: int, jump: int
) -> None:
    rule = parse_rule({"cron": expression, "tz": zone})
    after = START + timedelta(seconds=seconds)
    ticks = list(islice(ticks_after(rule, START, after), 40))
    assert after < ticks[0]
    assert all(first < second for first, second in pairwise(ticks))
    middle = after + timedelta(seconds=jump)
    assert [tick for tick in ticks if tick > middle][:1] in ([], list(islice(ticks_after(rule, START, middle), 1)))
    for tick in ticks[:3]:
        assert next(ticks_after(rule, START, tick - timedelta.resolution)) == tick


@settings(max_examples=150, deadline=None)
@given(
    times=st.sampled_from([{"every": "90s"}, *({"cron": cron, "tz": "Europe/Berlin"} for cron in EXPRESSIONS)]),
    seconds=st.integers(0, 366 * 86_400),
    late=st.integers(0, 3 * 86_400),
    most=st.integers(1, 50),
)
def test_the_last_ticks_are_those_of_the_whole_row(times: dict[str, str], seconds: int, late: int, most: int) -> None:
    rule = parse_rule(times)  # type: ignore[arg-type]  # drawn as plain dicts
    first = next(ticks_after(rule, START, START + timedelta(seconds=seconds)))
    until = first + timedelta(seconds=late)
    row = [first]
    for tick in ticks_after(rule, START, first):
        if tick > until:
            break
        row.append(tick)
    assert last_ticks(rule, START, first, until, most=most) == row[-most:]


def test_the_last_tick_after_a_hundred_years_is_found_at_once() -> None:
    until = START + timedelta(days=36_500, seconds=0.5)
    for times in ({"every": 1}, {"cron": "* * * * * *"}):
        rule = parse_rule(times)  # type: ignore[arg-type]  # as above
        assert last_ticks(rule, START, START + timedelta(seconds=1), until, most=1) == [until - timedelta(seconds=0.5)]


def test_ticks_end_with_the_calendar() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    assert len(list(ticks_after(parse_rule({"every": "1 day"}), end - 3 * timedelta(days=1), end - HOUR * 30))) == 2


def test_jitter_is_the_same_for_a_tick_and_never_reaches_the_next() -> None:
    rule = parse_rule({"cron": "* * * * *", "jitter": "1 hour"})
    ticks = list(islice(ticks_after(rule, START, START), 50))
    fires = [delayed_by_jitter("a", rule, tick, following) for tick, following in pairwise(ticks)]
    assert fires == [delayed_by_jitter("a", rule, tick, following) for tick, following in pairwise(ticks)]
    assert all(tick <= fire < following for fire, (tick, following) in zip(fires, pairwise(ticks), strict=True))
    assert len({fire - tick for fire, tick in zip(fires, ticks, strict=False)}) > 40
    assert delayed_by_jitter("b", rule, ticks[0], ticks[1]) != fires[0]
