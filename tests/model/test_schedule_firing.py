"""Firing: what is decided of a schedule that is due; the conformance kit asks stores for the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Unpack

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.model.options import JobOptions
from conveyor.model.schedules.firing import next_fires, paused, plan_firing, resumed, upserted
from conveyor.model.schedules.parsing import parse_rule
from conveyor.model.schedules.values import Missed, ScheduleData, ScheduleRule, ScheduleSpec, TickOutcome

if TYPE_CHECKING:
    from conveyor.model.schedules.parsing import TimeKeywords

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def made(**times: Unpack[TimeKeywords]) -> ScheduleData:
    spec = ScheduleSpec("a", "orders", "pack", b"{}", JobOptions(), parse_rule(times))
    return upserted(None, spec, NOW, is_declared=False).schedule


def fired(schedule: ScheduleData, now: datetime) -> tuple[ScheduleData, list[datetime]]:
    """Fire at this time; return the schedule after it, and the ticks that fired."""
    after, ticks = plan_firing(schedule, now).done(())
    return after, [tick.tick_at for tick in ticks if tick.outcome is TickOutcome.FIRED]


@settings(max_examples=200, deadline=None)
@given(
    jitter=st.sampled_from([None, 1, 59]),
    missed=st.sampled_from(["one", "all", "skip"]),
    limit=st.sampled_from([None, 3, 20]),
    lateness=st.lists(st.integers(0, 400), max_size=20),
)
def test_no_tick_fires_twice_or_before_its_time_however_late_one_looks(
    jitter: int | None, missed: str, limit: int | None, lateness: list[int]
) -> None:
    schedule = made(every=MINUTE, jitter=jitter, missed=missed, limit=limit)
    seen: list[datetime] = []
    for late in lateness:
        if schedule.due_at is None:
            break
        now = schedule.due_at + timedelta(seconds=late)
        schedule, ticks = fired(schedule, now)
        assert all(tick <= now for tick in ticks)
        assert schedule.due_at is None or schedule.due_at > now
        seen += ticks
    assert seen == sorted(set(seen))
    assert len(seen) == schedule.state.fired_count <= (limit or len(seen))
    assert missed != "all" or limit or seen == [NOW + number * MINUTE for number in range(1, len(seen) + 1)]


def test_all_but_the_last_few_are_let_go() -> None:
    schedule = made(every=MINUTE, missed=Missed("all", most=3))
    after, ticks = fired(schedule, NOW + 10 * MINUTE)
    assert ticks == [NOW + number * MINUTE for number in (8, 9, 10)]
    assert after.state.next_tick_at == NOW + 11 * MINUTE


def test_what_the_limit_leaves_is_fired_last() -> None:
    _, ticks = fired(made(every=MINUTE, missed="all", limit=2), NOW + 5 * MINUTE)
    assert ticks == [NOW + 4 * MINUTE, NOW + 5 * MINUTE]


def test_next_fires_are_those_that_come() -> None:
    schedule = made(every=MINUTE, jitter=30, limit=3)
    expected = next_fires(schedule, 10)
    assert len(expected) == 3
    came: list[datetime] = []
    while schedule.due_at is not None:
        came.append(schedule.due_at)
        schedule, _ = fired(schedule, schedule.due_at)
    assert came == expected
    assert next_fires(schedule, 10) == []


def test_a_paused_one_has_no_next_fires_and_resumes_after_now() -> None:
    schedule = paused(made(every=MINUTE), NOW)
    assert next_fires(schedule, 1) == []
    again = resumed(schedule, NOW + 90 * MINUTE + timedelta(seconds=1))
    assert next_fires(again, 1) == [NOW + 91 * MINUTE]
    assert resumed(again, NOW + 95 * MINUTE) is again


@pytest.mark.parametrize("broken", [ScheduleRule(cron="* * * * *", tz="Mars/Olympus"), ScheduleRule(cron="never")])
def test_one_whose_times_cannot_be_told_says_why_and_is_looked_at_again(broken: ScheduleRule) -> None:
    whole = made(cron="* * * * *")
    spec = evolve(whole.spec, rule=broken)
    now = NOW + MINUTE
    after, (receipt,) = plan_firing(ScheduleData(spec, whole.state), now).done(())
    assert receipt.outcome is TickOutcome.PROBLEM
    assert receipt.note
    assert after.state.problem is not None
    assert (after.state.next_tick_at, after.state.next_run_at) == (now, now + MINUTE)
    mended, (tick,) = plan_firing(ScheduleData(whole.spec, after.state), now + MINUTE).done(())
    assert tick.outcome is TickOutcome.FIRED
    assert mended.state.problem is None
