"""Rules of schedules: what is refused, by which name, and what they are in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.schedules.parsing import check_schedule_id, parse_rule
from conveyor.model.schedules.values import Missed, MissedPolicy, Overlap
from conveyor.model.schedules.words import rule_in_words

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAILY = {"cron": "0 9 * * *"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "either every or cron"),
        ({"every": 60, "cron": "* * * * *"}, "either every or cron"),
        ({"every": 0}, "every must be longer than zero"),
        ({"every": -1}, "every must not be negative"),
        ({"every": 0.5}, "every must be at least a second"),
        ({"every": "soon"}, "every 'soon' is no duration"),
        ({"cron": "61 * * * *"}, "cron '61 .* is no expression.*Bad minute"),
        ({"cron": "* * *"}, "Wrong number of fields"),
        ({"cron": "* * * * * * *"}, "Wrong number of fields"),
        ({"cron": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"cron": 5}, "cron must be an expression"),
        ({**DAILY, "tz": "Mars/Olympus"}, "tz 'Mars/Olympus' is no time zone"),
        ({**DAILY, "tz": "../etc/passwd"}, "tz .* is no time zone"),
        ({**DAILY, "tz": UTC}, "tz .* is no time zone"),
        ({"every": 60, "tz": "UTC"}, "tz is for cron"),
        ({**DAILY, "start": datetime(2026, 1, 1)}, "start must be a datetime with a time zone"),  # noqa: DTZ001 - so it is
        ({**DAILY, "end": "tomorrow"}, "end must be a datetime"),
        ({**DAILY, "start": NOON, "end": NOON}, "end .* must be after start"),
        ({**DAILY, "start": NOON, "end": NOON + timedelta(hours=1)}, "no tick between start and end"),
        ({**DAILY, "limit": 0}, "limit must be a whole number of at least 1"),
        ({**DAILY, "limit": -1}, "limit must be"),
        ({**DAILY, "limit": True}, "limit must be"),
        ({**DAILY, "jitter": 0}, "jitter must be longer than zero"),
        ({"every": 60, "jitter": 61}, "jitter .* must not be longer than every"),
        ({**DAILY, "overlap": "both"}, "overlap must be one of queue, skip, cancel"),
        ({**DAILY, "missed": "some"}, "missed must be one of skip, one, all"),
        ({**DAILY, "missed": "all", "overlap": "skip"}, "missed='all' .* overlap='skip'"),
        ({**DAILY, "evry": 5}, "unknown schedule option 'evry': did you mean 'every'"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_field(given: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse_rule(given)


def test_a_jobs_expiry_must_be_a_duration() -> None:
    with pytest.raises(ConfigurationError, match="expires of a scheduled job must be a duration"):
        parse_rule({"every": 60}, NOON)
    assert parse_rule({"every": 60}, timedelta(5)).expires == timedelta(5)


@pytest.mark.parametrize(("most", "grace"), [(0, 1), (1001, 1), (1, -1), (1, "never")])
def test_what_is_wrong_with_missed_ticks_is_refused(most: int, grace: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"most|grace"):
        Missed("all", most=most, grace=grace)


@pytest.mark.parametrize("id", ["", "a\nb", "x" * 201, 5])
def test_an_id_that_names_nothing_is_refused(id: Any) -> None:
    with pytest.raises(ConfigurationError, match="schedule id"):
        check_schedule_id(id)


def test_strings_become_values_once() -> None:
    rule = parse_rule({"cron": " 0  9 * * *", "tz": "Europe/Berlin", "overlap": "skip", "missed": "skip"})
    assert (rule.cron, rule.overlap, rule.missed.policy) == ("0 9 * * *", Overlap.SKIP, MissedPolicy.SKIP)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"every": 1}, "every second"),
        ({"every": 86_400, "jitter": 90}, "every day, up to 1 minute 30 seconds later"),
        ({"every": 1.5}, "every 1.5 seconds"),
        ({"every": "25 hours", "limit": 1}, "every 1 day 1 hour, once"),
        ({**DAILY, "limit": 2}, "at 09:00 every day (UTC), 2 times"),
        ({"cron": "0 9 13 * fri"}, "at 09:00 on the 13th day of month or on Friday (UTC)"),
        ({"cron": "0 9 * * fri"}, "at 09:00 on Friday (UTC)"),
        (
            {**DAILY, "tz": "Asia/Tokyo", "start": NOON, "end": NOON + timedelta(days=1)},
            "at 09:00 every day (Asia/Tokyo), from 2026-01-01 12:00:00+00:00, until 2026-01-02 12:00:00+00:00",
        ),
    ],
)
def test_rules_are_said_in_words(given: Any, words: str) -> None:
    assert rule_in_words(parse_rule(given)) == words
