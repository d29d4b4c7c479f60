"""Durations as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError
from conveyor.model.durations import Duration, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (5, 5),
        (0.25, 0.25),
        (timedelta(minutes=2), 120),
        ("30s", 30),
        ("5 minutes", 300),
        ("in 5 minutes", 300),
        ("IN 5 Minutes", 300),
        ("  2 hours ", 7200),
        ("1h30m", 5400),
        ("2 days", 172_800),
        ("1 week", 604_800),
        ("250ms", 0.25),
        ("1.5 milliseconds", 0.0015),
        ("1.5s", 1.5),
    ],
)
def test_words_and_numbers_are_understood(written: Duration, seconds: float) -> None:
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        *("", "soon", "90", "5 fortnights", "in", "5 minutes ago", "-5s"),
        *(-1, -0.001, float("nan"), float("inf"), float("-inf"), timedelta(seconds=-1)),
        *(True, None, [], b"5s"),
    ],
)
def test_what_is_no_duration_is_refused_by_its_field(written: object) -> None:
    with pytest.raises(ConfigurationError, match="lock_duration"):
        parse_duration(written, field="lock_duration")  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("written", [1e300, 10**30, "9999999999999 weeks"])
def test_what_is_too_long_is_refused_by_its_field(written: Duration) -> None:
    with pytest.raises(ConfigurationError, match="delay"):
        parse_duration(written, field="delay")


@settings(max_examples=100)
@given(st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_a_timedelta_stays_as_it_is(duration: timedelta) -> None:
    assert parse_duration(duration) == duration


@settings(max_examples=100)
@given(st.integers(0, 10**9))
def test_whole_seconds_read_the_same_as_number_and_as_words(seconds: int) -> None:
    assert parse_duration(seconds) == parse_duration(f"{seconds}s") == timedelta(seconds=seconds)


@settings(max_examples=100)
@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_refusal(text: str) -> None:
    with suppress(ConfigurationError):
        assert parse_duration(text) >= timedelta(0)
