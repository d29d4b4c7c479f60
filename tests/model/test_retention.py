"""Retention: its defaults, and every bad value refused by its name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.retention import Retention, kept_for


def test_by_default_jobs_are_kept_for_a_month_whatever_their_number() -> None:
    assert Retention() == Retention(max_age="30 days", max_count=None)


def test_no_age_and_no_number_keeps_everything() -> None:
    retention = Retention(max_age=None)
    assert (retention.max_age, retention.max_count) == (None, None)


@pytest.mark.parametrize("value", [0, -1, "soon", True, float("inf"), timedelta(0), timedelta(days=-1), ()])
def test_a_bad_age_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_age"):
        Retention(max_age=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "10", True, 2**31])
def test_a_bad_number_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_count"):
        Retention(max_count=value)


@pytest.mark.parametrize(("removal", "kept"), [(True, None), (False, None), (timedelta(days=1), timedelta(days=1))])
def test_only_a_duration_says_how_long_a_job_is_kept(removal: bool | timedelta, kept: timedelta | None) -> None:
    assert kept_for(removal) == kept
