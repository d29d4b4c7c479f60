"""Filters: what none can be made of is refused when it is given, not where a store trips over it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from conveyor import ErrorGroupFilter, JobFilter, JobState
from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_page

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what is to be refused


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, value) for field in ("queue_names", "names", "tags") for value in ("ab", None, 5, (5,), ("a\0",))],
        *[("states", value) for value in ("waiting", JobState.WAITING, ("foo",), (None,), 5)],
        *[(field, value) for field in ("text", "error", "error_group") for value in (5, None, "\ud800", "a\0b")],
        *[
            (f"{what}_{end}", value)
            for what in ("created", "finished")
            for end in ("from", "to")
            for value in (NAIVE, "now")
        ],
        *[("min_attempts", value) for value in (-1, 1.5, True, "1", 2**31)],
    ],
)
def test_a_field_that_is_none_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}|is no job state"):
        JobFilter(**{field: value})


@pytest.mark.parametrize("field", ["queue_names", "names", "ids"])
def test_a_lone_string_is_no_field_of_a_filter_for_groups(field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} must be a tuple"):
        ErrorGroupFilter(**{field: "ab"})


def test_lists_and_names_of_states_make_the_filter_that_tuples_and_states_make() -> None:
    given: Any = {"queue_names": ["work"], "states": ["waiting", JobState.DELAYED]}
    assert JobFilter(**given) == JobFilter(("work",), states=(JobState.WAITING, JobState.DELAYED))


@pytest.mark.parametrize(
    ("cursor", "limit"), [(5, 1), ("\0", 1), (None, 0), (None, -1), (None, "1"), (None, True), (None, 10**12)]
)
def test_a_page_that_cannot_be_is_refused(cursor: Any, limit: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"cursor|limit"):
        check_page(cursor, limit)
