"""Options: defaults, and every bad value refused by its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError
from conveyor.model.checks import LONGEST_ID, check_job_id, check_name
from conveyor.model.options import JobKeywords, JobOptions, Placement, parse_job_keywords
from conveyor.model.retry import fixed
from conveyor.model.worker_options import WorkerOptions

BAD_JOB_OPTIONS: list[tuple[str, Any]] = [
    *[("attempts", value) for value in (0, -1, 1.5, "3", True, None)],
    *[("backoff", value) for value in (5, "exponential", timedelta(seconds=1))],
    *[("priority", value) for value in (2**31, -(2**31) - 1, 1.0, "high", False, None)],
    *[("lifo", value) for value in (1, 0, "yes", None)],
    *[("timeout", value) for value in (0, -1, "soon", float("inf"), timedelta(0))],
    *[("remove_on_complete", value) for value in (0, -1, "yes", None, float("nan"), timedelta(0))],
    *[("remove_on_fail", value) for value in (0.0, timedelta(seconds=-1), "no", None, "0s", ())],
    *[("tags", value) for value in ("red", [1], ["red", None])],
    *[("metadata", value) for value in ({"a": 1}, {1: "a"}, {"a": None})],
]
BAD_PLACEMENTS: list[tuple[str, Any]] = [
    *[("delay", value) for value in (-1, "soon", float("nan"))],
    *[("run_at", value) for value in (datetime(2030, 1, 1), "2030-01-01", 5)],  # noqa: DTZ001 - naive, so refused
    *[("job_id", value) for value in ("", "x" * 256, "a\nb", "\x7f", "\ud800", 5)],
]
BAD_WORKER_OPTIONS: list[tuple[str, Any]] = [
    *[("concurrency", value) for value in (0, -1, 1.5, "10", True)],
    *[("prefetch", value) for value in (-1, "none", 1.5, True, None)],
    *[("lifo", value) for value in (1, "yes")],
    *[("lock_duration", value) for value in (0, -1, "soon")],
    *[("stalled_interval", value) for value in (0, -1, "soon")],
    *[("retention_interval", value) for value in (0, -1, "soon", True)],
    *[("max_stalled", value) for value in (1.5, "3", True, -1)],
    *[("shutdown_grace", value) for value in (-1, "soon")],
    *[("poll_interval", value) for value in (0, -1, "soon")],
]


def parse(**keywords: Any) -> tuple[JobOptions, Placement]:
    given_keywords: JobKeywords = keywords  # type: ignore[assignment]  # bad values are what is tested
    return parse_job_keywords(given_keywords, JobOptions())


@pytest.mark.parametrize(("name", "value"), BAD_JOB_OPTIONS)
def test_a_bad_job_option_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        parse(**{name: value})
    with pytest.raises(ConfigurationError, match=name):
        JobOptions(**{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_PLACEMENTS)
def test_a_bad_placement_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        parse(**{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_WORKER_OPTIONS)
def test_a_bad_worker_option_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        WorkerOptions(**{name: value})


@pytest.mark.parametrize("name", ["attempt", "max_attempts", "prio", "queue"])
def test_an_unknown_option_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown job option '{name}'"):
        parse(**{name: 1})


def test_a_misspelt_option_is_recognised() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'attempts'"):
        parse(atempts=3)


@pytest.mark.parametrize(
    ("given_removal", "removal"),
    [(True, True), (False, False), (1, timedelta(seconds=1)), ("7 days", timedelta(days=7))],
)
def test_removal_is_at_once_or_never_or_after_a_duration(given_removal: Any, removal: bool | timedelta) -> None:
    options, _ = parse(remove_on_complete=given_removal, remove_on_fail=given_removal)
    assert [options.remove_on_complete, options.remove_on_fail] == [removal, removal]
    assert type(options.remove_on_complete) is type(removal)


def test_delay_and_run_at_together_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="delay or run_at"):
        parse(delay=5, run_at=datetime(2030, 1, 1, tzinfo=UTC))


def test_nothing_given_changes_nothing() -> None:
    options, placement = JobOptions(attempts=3), Placement(delay=timedelta(5))
    assert parse_job_keywords({}, options, placement) == (options, placement)


def test_what_is_given_is_laid_over_the_defaults() -> None:
    defaults = JobOptions(attempts=3, priority=5, tags=("red",))
    options, _ = parse_job_keywords({"priority": 1, "timeout": "30s"}, defaults)
    assert options == JobOptions(attempts=3, priority=1, tags=("red",), timeout=timedelta(seconds=30))


def test_a_given_delay_replaces_a_run_at_by_default_and_back() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    options = JobOptions()
    assert parse_job_keywords({"delay": 5}, options, Placement(run_at=at))[1] == Placement(delay=timedelta(seconds=5))
    assert parse_job_keywords({"run_at": at}, options, Placement(delay=timedelta(5)))[1] == Placement(run_at=at)


def test_options_are_values() -> None:
    assert JobOptions(attempts=2, backoff=fixed("1s")) == JobOptions(attempts=2, backoff=fixed(1))
    assert JobOptions(tags=["a"]).tags == ("a",)
    given_metadata = {"a": "b"}
    kept = JobOptions(metadata=given_metadata)
    given_metadata["a"] = "c"
    assert kept.metadata == {"a": "b"}


def test_worker_options_are_understood_in_words() -> None:
    options = WorkerOptions(lock_duration="1 minute", shutdown_grace=0)
    assert (options.lock_duration, options.shutdown_grace) == (timedelta(minutes=1), timedelta(0))


@settings(max_examples=100)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=LONGEST_ID))
def test_any_text_without_control_characters_can_name_a_job(text: str) -> None:
    assert check_job_id(text) == text
    assert check_name(text, "queue") == text


@pytest.mark.parametrize("name", ["", "x" * 256, "a\0b", "tab\t", "\ud83d"])
def test_a_bad_name_is_refused_by_its_kind(name: str) -> None:
    with pytest.raises(ConfigurationError, match="queue name"):
        check_name(name, "queue name")
