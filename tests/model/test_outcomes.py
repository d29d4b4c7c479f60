"""Outcomes are values, parsed when they are made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.outcomes import Cancel, Completed, Failed, Retry, Snooze, Stop


@pytest.mark.parametrize("duration", [60, 60.0, "1 minute", "in 1 minute", timedelta(minutes=1)])
def test_waits_are_understood_in_words(duration: Any) -> None:
    assert Snooze(duration).delay == timedelta(minutes=1)
    assert Retry(after=duration).after == timedelta(minutes=1)


@pytest.mark.parametrize(("outcome", "named"), [(Snooze, "^delay"), (Retry, "^after")])
@pytest.mark.parametrize("duration", [-1, "soon", float("nan")])
def test_a_bad_wait_is_refused_where_it_is_written(outcome: Any, named: str, duration: Any) -> None:
    with pytest.raises(ConfigurationError, match=named):
        outcome(duration)


def test_a_retry_without_a_wait_leaves_it_to_the_backoff() -> None:
    assert Retry().after is None


def test_a_failure_may_be_told_in_words() -> None:
    error = Failed("sold out").error
    assert isinstance(error, RuntimeError)
    assert str(error) == "sold out"


def test_a_failure_keeps_the_error_itself() -> None:
    error = ValueError("no")
    assert Failed(error).error is error
    assert Failed(error).retry


@pytest.mark.parametrize("outcome", [Completed(1), Failed(ValueError()), Retry(), Snooze(1), Cancel("x")])
def test_stop_carries_any_outcome(outcome: Any) -> None:
    assert Stop(outcome).outcome is outcome


@pytest.mark.parametrize("thing", [None, "snooze", Snooze, ValueError()])
def test_stop_carries_nothing_else(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match="Stop takes an outcome"):
        Stop(thing)


def test_outcomes_are_compared_by_value() -> None:
    assert Snooze(60) == Snooze("1 minute")
    assert Cancel("a") != Cancel("b")


def test_a_failure_takes_the_class_of_an_error_as_raise_does() -> None:
    failed = Failed(ValueError, retry=False)
    assert isinstance(failed.error, ValueError)
    assert not failed.retry


@pytest.mark.parametrize("error", [None, 5, int])
def test_what_is_no_error_is_refused(error: Any) -> None:
    with pytest.raises(ConfigurationError, match="an exception or words"):
        Failed(error)
