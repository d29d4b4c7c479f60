"""Back-off curves: bounds, jitter, overflow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError
from conveyor.model.retry import LONGEST_BACKOFF, Backoff, by_name, exponential, fixed, retry_delay

JITTERS = st.floats(0, 1, exclude_max=True)
BACKOFFS = st.builds(
    exponential, st.floats(0, 1e6), factor=st.floats(1, 100), max=st.floats(0, 1e6), jitter=st.floats(0, 1)
)


def test_no_backoff_is_at_once() -> None:
    assert retry_delay(None, 1, jitter=0.5) == timedelta(0)


@pytest.mark.parametrize("failures", [1, 2, 100])
def test_a_fixed_wait_is_always_the_same(failures: int) -> None:
    assert retry_delay(fixed("30s"), failures, jitter=0.9) == timedelta(seconds=30)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (2, 6), (3, 18), (4, 54), (5, 60), (50, 60)])
def test_an_exponential_wait_grows_up_to_its_max(failures: int, seconds: int) -> None:
    backoff = exponential(2, factor=3, max=60, jitter=0)
    assert retry_delay(backoff, failures, jitter=0.5) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("jitter", "seconds"), [(0, 7.5), (0.5, 10), (0.75, 11.25)])
def test_jitter_spreads_up_and_down_alike(jitter: float, seconds: float) -> None:
    assert retry_delay(exponential(10, jitter=0.25), 1, jitter=jitter) == timedelta(seconds=seconds)


@pytest.mark.parametrize("failures", [1_000, 10_000, 1_000_000])
def test_a_wait_too_long_for_a_float_is_its_max(failures: int) -> None:
    assert retry_delay(exponential(1, factor=10, jitter=0), failures, jitter=0) == LONGEST_BACKOFF


def test_a_wait_of_nothing_stays_nothing() -> None:
    assert retry_delay(exponential(0), 5, jitter=0.9) == timedelta(0)


@settings(max_examples=100)
@given(backoff=BACKOFFS, failures=st.integers(1, 2_000), jitter=JITTERS)
def test_a_wait_is_never_negative_nor_longer_than_max_and_jitter(
    backoff: Backoff, failures: int, jitter: float
) -> None:
    wait = retry_delay(backoff, failures, jitter=jitter)
    longest_seconds = backoff.max.total_seconds() * (1 + backoff.jitter)
    assert timedelta(0) <= wait <= timedelta(seconds=longest_seconds + 1e-5)


@settings(max_examples=100)
@given(delay=st.floats(0, 1e4), factor=st.floats(1, 10), failures=st.integers(1, 300))
def test_a_wait_never_shrinks_as_failures_add_up(delay: float, factor: float, failures: int) -> None:
    backoff = exponential(delay, factor=factor, jitter=0)
    assert retry_delay(backoff, failures, jitter=0) <= retry_delay(backoff, failures + 1, jitter=0)


def test_a_named_curve_is_asked_for_the_number_of_failures() -> None:
    curves = {"squares": lambda failures: timedelta(seconds=failures**2)}
    assert retry_delay(by_name("squares"), 4, jitter=0, curves=curves) == timedelta(seconds=16)


def test_a_named_curve_that_is_not_registered_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'squares'.*register_backoff"):
        retry_delay(by_name("squares"), 1, jitter=0)


def test_a_named_curve_may_not_go_back_in_time() -> None:
    with pytest.raises(ConfigurationError, match="squares"):
        retry_delay(by_name("squares"), 1, jitter=0, curves={"squares": lambda _: timedelta(seconds=-1)})


@pytest.mark.parametrize("factor", [0, 0.5, -1])
def test_a_factor_below_one_is_refused(factor: float) -> None:
    with pytest.raises(ConfigurationError, match="factor"):
        exponential(1, factor=factor)


@pytest.mark.parametrize("jitter", [-0.1, 1.1])
def test_a_jitter_that_is_no_share_is_refused(jitter: float) -> None:
    with pytest.raises(ConfigurationError, match="jitter"):
        exponential(1, jitter=jitter)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("argument", ["factor", "jitter", "delay", "max"])
def test_what_is_not_finite_is_refused(argument: str, number: float) -> None:
    arguments = {"delay": 1.0} | {argument: number}
    with pytest.raises(ConfigurationError, match=argument):
        exponential(**arguments)
