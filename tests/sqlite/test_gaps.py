"""Room for other writers between the transactions of a process."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor._builtin.sqlite.gaps import Gaps

LONGEST = timedelta(seconds=10)
PAUSE = 0.15


def gaps() -> Gaps:
    return Gaps(busy_timeout=timedelta(seconds=5))


def test_after_a_short_one_the_next_may_begin_at_once() -> None:
    turns = gaps()
    turns.note(100.0, 100.01, LONGEST)
    assert turns.free_at <= 100.01


def test_one_that_kept_others_waiting_is_followed_by_a_pause() -> None:
    turns = gaps()
    turns.note(100.0, 100.125, LONGEST)
    assert turns.free_at == pytest.approx(100.125 + PAUSE)


def test_one_for_which_others_were_refused_is_followed_by_a_longer_one() -> None:
    turns = gaps()
    turns.note(100.0, 105.0, LONGEST)
    assert turns.free_at == pytest.approx(105.0 + 1.5)


@pytest.mark.parametrize(("gap", "pauses"), [(0.005, 4), (0.02, 0)])
def test_short_ones_that_hardly_leave_a_gap_are_followed_by_a_pause_each_second(gap: float, pauses: int) -> None:
    """Held for 50 ms each: with 5 ms between, others find the lock taken nine times of ten."""
    turns, now, seen = gaps(), 100.0, 0
    while now < 105.0:
        turns.note(now, now + 0.05, LONGEST)
        now += 0.05
        seen += turns.free_at > now
        now = max(now + gap, turns.free_at)
    assert seen == pauses


def test_a_streak_is_over_where_others_had_time_to_get_in() -> None:
    turns, now = gaps(), 100.0
    for _ in range(100):
        turns.note(now, now + 0.09, LONGEST)
        assert turns.free_at <= now + 0.09
        now += 0.09 + 0.11
