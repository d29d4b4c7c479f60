"""What can be said of a batch job when it is created, and what makes two of them the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from conveyor.errors import BatchJobError, ConfigurationError
from conveyor.model.batches.options import identity_of, parse_batch_keywords, parse_filter
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import BatchFilter, Confirmation


def test_the_same_fields_in_any_order_are_the_same() -> None:
    one = identity_of({"file": {"a": 1, "b": 2}, "by": "ada"}, ["file"], batch_type="t")
    other = identity_of({"by": "bob", "file": {"b": 2, "a": 1}}, ["file"], batch_type="t")
    assert one == other
    assert one != identity_of({"file": {"a": 1}}, ["file"], batch_type="t")


def test_fields_do_not_run_into_one_another() -> None:
    assert identity_of({"a": "x", "b": "yz"}, ["a", "b"], batch_type="t") != identity_of(
        {"a": "xy", "b": "z"}, ["a", "b"], batch_type="t"
    )


def test_without_fields_none_are_the_same() -> None:
    assert identity_of({"file": "a"}, (), batch_type="t") is None


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(BatchJobError, match="type 't' must have 'file'"):
        identity_of({}, ["file"], batch_type="t")


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"dry_run": 1}, "dry_run must be True or False"),
        ({"force": "yes"}, "force must be True or False"),
        ({"created_by": 7}, "created_by must be text or None"),
        ({"confirmation": "later"}, "'automatic', 'manual', or None, got 'later'"),
        ({"forced": True}, "did you mean 'force'"),
    ],
)
def test_what_is_wrong_about_an_option_is_named(keywords: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_batch_keywords(keywords)


def test_options_are_parsed() -> None:
    assert parse_batch_keywords({"confirmation": "manual"}).confirmation is Confirmation.MANUAL
    assert parse_batch_keywords({}).confirmation is None


def wanted(**changes: Any) -> BatchFilter:
    """Parse a filter that says nothing but this."""
    nothing: dict[str, Any] = dict.fromkeys(("created_by", "parent_id", "created_from", "created_before"))
    return parse_filter(**{**nothing, "types": (), "statuses": (), **changes})


def test_a_filter_is_parsed() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert wanted(statuses=["failed"], types=["t"], created_from=at) == BatchFilter(
        ("t",), (BatchStatus.FAILED,), created_from=at
    )


@pytest.mark.parametrize(
    "wrong",
    [{"types": "t"}, {"statuses": "failed"}, {"statuses": ["fialed"]}, {"created_before": datetime(2026, 3, 1)}],  # noqa: DTZ001
)
def test_what_is_wrong_about_a_filter_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        wanted(**wrong)
