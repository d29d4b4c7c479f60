"""Locks: when they are over, how often to renew, how long to trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.model.locks import (
    Lock,
    LockToken,
    is_expired,
    renewal_interval_seconds,
    trusted_until_seconds,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DURATIONS = st.timedeltas(timedelta(milliseconds=100), timedelta(days=1))


@pytest.mark.parametrize(("microseconds", "is_over"), [(-1, True), (0, True), (1, False)])
def test_a_lock_is_over_at_the_moment_it_ends(microseconds: int, is_over: bool) -> None:
    assert is_expired(NOW + timedelta(microseconds=microseconds), NOW) is is_over


def test_a_token_reads_as_one_word() -> None:
    assert str(LockToken("ab" * 16, 7)) == "ab" * 16 + ".7"


def test_locks_are_told_apart_by_job_session_and_fetch() -> None:
    token = LockToken("a", 1)
    assert len({Lock("x", token), Lock("y", token), Lock("x", LockToken("b", 1)), Lock("x", LockToken("a", 2))}) == 4


@settings(max_examples=100)
@given(duration=DURATIONS, sent_at=st.floats(0, 1e6))
def test_two_renewals_may_fail_before_trust_ends(duration: timedelta, sent_at: float) -> None:
    trusted_until = trusted_until_seconds(sent_at, duration)
    assert sent_at + 2 * renewal_interval_seconds(duration) < trusted_until < sent_at + duration.total_seconds()
