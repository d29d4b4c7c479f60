"""Schedules: each tick adds its job once, whoever looks and whatever becomes of its jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Unpack

import anyio
import pytest

from conveyor.errors import DuplicateJobError, GroupFullError, ScheduleNotFoundError
from conveyor.model.events import NotificationKind
from conveyor.model.groups import Group
from conveyor.model.schedules.firing import job_id_of, tag_of
from conveyor.model.schedules.parsing import parse_rule
from conveyor.model.schedules.values import Missed, ScheduleSpec, TickOutcome, UpsertOutcome
from conveyor.model.states import Command, JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.notifications import heard
from conveyor.testing.conformance.workshop import NAME, QUEUE, Workshop, lock_of
from conveyor.testing.crowd import in_processes, in_threads
from conveyor.testing.stores import open_store
from conveyor.testing.ticking import Tick, fire_all, fire_in_crowd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.contracts.store import ScheduleStore
    from conveyor.model.schedules.parsing import TimeKeywords
    from conveyor.model.schedules.values import ScheduleData, TickReport

__all__ = ["SchedulesConformance"]

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
CROWD: Final = 3
SCHEDULES: Final = 300
TICKS: Final = 4


def spec_of(
    workshop: Workshop, id: str, /, *, payload: bytes = b'{"box": 1}', queue: str = QUEUE, **times: Unpack[TimeKeywords]
) -> ScheduleSpec:
    """Return a schedule that adds a job to pack."""
    rule = parse_rule(times if "cron" in times else {"every": MINUTE, **times})
    return ScheduleSpec(id, queue, NAME, payload, workshop.new("any", attempts=3, tags=("daily",)).options, rule)


def facet(workshop: Workshop) -> ScheduleStore:
    """Return the facet, which must be there if the store declares it."""
    needs(workshop.store.capabilities.has_schedules, "has_schedules")
    assert workshop.store.schedules is not None, "a store that declares has_schedules has the facet"
    return workshop.store.schedules


async def upsert(workshop: Workshop, id: str, /, **times: Unpack[TimeKeywords]) -> ScheduleData:
    """Make a schedule, or change it."""
    (receipt,) = await facet(workshop).upsert_schedules([spec_of(workshop, id, **times)])
    return receipt.schedule


async def fire(workshop: Workshop, minutes: float = 0) -> list[str]:
    """Let time pass and fire what is due; return the ids of the jobs that ticks added."""
    workshop.clock.advance(minutes * 60)
    report = await facet(workshop).fire_schedules()
    return [tick.job_id for tick in report.ticks if tick.outcome is TickOutcome.FIRED]


async def look(workshop: Workshop, id: str) -> ScheduleData:
    """Return a schedule, which must be there."""
    schedule = await facet(workshop).get_schedule(id)
    assert schedule is not None, f"there should be a schedule {id}"
    return schedule


class SchedulesConformance(StoreKit):
    """What a tick does is the model's; that it is done once, and all of it, is the store's."""

    async def test_a_schedule_comes_back_equal(self, workshop: Workshop) -> None:
        spec = spec_of(
            workshop,
            "ünï'code 🚚",
            cron="*/7 30 9 * * mon",
            tz="America/New_York",
            start=datetime(2031, 6, 1, 12, 30, 15, 123_457, tzinfo=UTC),
            end=datetime(2032, 1, 1, tzinfo=UTC),
            limit=7,
            jitter=1.5,
            missed=Missed("all", most=3, grace="5s"),
        )
        (made,) = await facet(workshop).upsert_schedules([spec], is_declared=True)
        schedule = await look(workshop, spec.id)
        assert made.outcome is UpsertOutcome.ADDED
        assert schedule == made.schedule
        assert schedule.spec == spec
        now = workshop.clock.now()
        assert (schedule.state.created_at, schedule.state.declared_at) == (now, now)

    async def test_a_tick_adds_its_job_with_all_that_belongs_to_it(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        assert await fire(workshop, 0.5) == []
        (job_id,) = await fire(workshop, 0.5)
        job = await workshop.job(job_id)
        assert (job.queue_name, job.name, job.payload, job.state) == (QUEUE, NAME, b'{"box": 1}', JobState.WAITING)
        assert (job.options.attempts, job.options.tags) == (3, ("daily", tag_of("a")))
        assert await workshop.fetch_order() == [job_id]

    async def test_a_tick_fires_once(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        assert len(await fire(workshop, 1)) == 1
        assert await fire(workshop) == []
        state = (await look(workshop, "a")).state
        assert (state.fired_count, state.next_run_at) == (1, workshop.clock.now() + MINUTE)

    async def test_it_fires_on_whatever_becomes_of_its_jobs(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        fired: list[str] = []
        for command in (Command.FAIL, Command.STOP, Command.COMPLETE):
            fired += await fire(workshop, 1)
            await workshop.finish(await (await workshop.hand()).fetch_one(), command)
        fired += await fire(workshop, 1)
        await workshop.jobs.remove_job(fired[-1])
        fired += await fire(workshop, 1)
        assert len(set(fired)) == 5

    async def test_a_report_says_when_the_next_is_due(self, workshop: Workshop) -> None:
        now = workshop.clock.now()
        assert (await facet(workshop).fire_schedules()).next_run_at is None
        await upsert(workshop, "a", every="1 hour")
        await upsert(workshop, "b", every="2 minutes")
        report = await facet(workshop).fire_schedules()
        assert (report.at, report.ticks, report.next_run_at) == (now, (), now + 2 * MINUTE)

    async def test_firing_stops_at_the_limit_and_says_that_more_is_due(self, workshop: Workshop) -> None:
        for id in "abc":
            await upsert(workshop, id)
        workshop.clock.advance(60)
        reports: list[TickReport] = [await facet(workshop).fire_schedules(limit=2) for _ in range(2)]
        assert [len(report.ticks) for report in reports] == [2, 1]
        assert [report.next_run_at for report in reports] == [workshop.clock.now(), workshop.clock.now() + MINUTE]

    async def test_the_same_again_changes_nothing(self, workshop: Workshop) -> None:
        before = await upsert(workshop, "a")
        workshop.clock.advance(30)
        (receipt,) = await facet(workshop).upsert_schedules([spec_of(workshop, "a")])
        assert receipt.outcome is UpsertOutcome.UNCHANGED
        assert receipt.schedule == before

    async def test_another_job_leaves_the_times_as_they_are(self, workshop: Workshop) -> None:
        before = await upsert(workshop, "a")
        workshop.clock.advance(30)
        (receipt,) = await facet(workshop).upsert_schedules([spec_of(workshop, "a", payload=b"[2]")])
        assert receipt.outcome is UpsertOutcome.CHANGED
        assert receipt.schedule.state.next_run_at == before.state.next_run_at
        (job_id,) = await fire(workshop, 0.5)
        assert (await workshop.job(job_id)).payload == b"[2]"

    async def test_other_times_begin_anew(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        workshop.clock.advance(59)
        await upsert(workshop, "a", every="10 minutes")
        assert await fire(workshop, 1) == []
        assert (await look(workshop, "a")).state.next_run_at == workshop.clock.now() + timedelta(minutes=9)

    async def test_an_id_twice_in_one_call_is_one_schedule(self, workshop: Workshop) -> None:
        specs = [spec_of(workshop, "a"), spec_of(workshop, "a", every="5 minutes")]
        receipts = await facet(workshop).upsert_schedules(specs)
        assert [receipt.outcome for receipt in receipts] == [UpsertOutcome.ADDED, UpsertOutcome.CHANGED]
        assert (await look(workshop, "a")).spec == specs[1]

    async def test_a_paused_one_fires_nothing_and_misses_nothing(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        assert (await facet(workshop).pause_schedule("a")).state.is_paused
        assert await fire(workshop, 10) == []
        assert (await facet(workshop).fire_schedules()).next_run_at is None
        assert not (await facet(workshop).resume_schedule("a")).state.is_paused
        assert await fire(workshop) == []
        assert len(await fire(workshop, 1)) == 1

    async def test_it_stays_paused_when_it_is_asked_for_again(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        await facet(workshop).pause_schedule("a")
        await upsert(workshop, "a", every="5 minutes")
        assert await fire(workshop, 10) == []

    async def test_a_removed_one_is_gone_and_its_jobs_are_not(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        (job_id,) = await fire(workshop, 1)
        await facet(workshop).remove_schedule("a")
        assert await facet(workshop).get_schedule("a") is None
        assert await fire(workshop, 1) == []
        assert await workshop.fetch_order() == [job_id]

    async def test_what_is_not_there_is_named(self, workshop: Workshop) -> None:
        schedules = facet(workshop)
        for verb in (schedules.pause_schedule, schedules.resume_schedule, schedules.remove_schedule):
            with pytest.raises(ScheduleNotFoundError, match="'nobody'"):
                await verb("nobody")
        with pytest.raises(ScheduleNotFoundError, match="'nobody'"):
            await schedules.run_schedule("nobody", "a")

    async def test_a_job_by_hand_changes_no_times(self, workshop: Workshop) -> None:
        before = await upsert(workshop, "a", limit=1)
        await facet(workshop).pause_schedule("a")
        for _ in range(2):
            await facet(workshop).run_schedule("a", "by-hand")
        assert await workshop.fetch_order() == ["by-hand"]
        await facet(workshop).resume_schedule("a")
        after = await look(workshop, "a")
        assert (after.state.fired_count, after.state.next_run_at) == (0, before.state.next_run_at)
        assert after.state.last_job_id == "by-hand"

    async def test_a_job_by_hand_under_a_taken_id_is_refused(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        await workshop.jobs.save_job(workshop.new("taken", payload=b"[1]"))
        with pytest.raises(DuplicateJobError):
            await facet(workshop).run_schedule("a", "taken")
        assert (await look(workshop, "a")).state.last_job_id is None

    async def test_a_tick_whose_id_another_job_has_is_told(self, workshop: Workshop) -> None:
        schedule = await upsert(workshop, "a")
        assert schedule.state.next_tick_at is not None
        job_id = job_id_of("a", schedule.state.next_tick_at)
        await workshop.jobs.save_job(workshop.new(job_id, payload=b"[1]"))
        workshop.clock.advance(60)
        (tick,) = (await facet(workshop).fire_schedules()).ticks
        assert (tick.outcome, tick.job_id) == (TickOutcome.DUPLICATE, job_id)
        assert len(await fire(workshop, 1)) == 1

    async def test_a_tick_whose_group_is_full_adds_nothing_and_the_next_is_tried(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_limits, "has_limits")
        spec = spec_of(workshop, "a")
        options = workshop.new("any", group=Group("customer", max_size=1)).options
        await facet(workshop).upsert_schedules([ScheduleSpec("a", QUEUE, NAME, b"{}", options, spec.rule)])
        (first,) = await fire(workshop, 1)
        workshop.clock.advance(60)
        (tick,) = (await facet(workshop).fire_schedules()).ticks
        assert tick.outcome is TickOutcome.GROUP_FULL
        assert (await look(workshop, "a")).state.refused_count == 1
        with pytest.raises(GroupFullError):
            await facet(workshop).run_schedule("a", "by-hand")
        await workshop.jobs.remove_job(first)
        assert len(await fire(workshop, 1)) == 1
        assert (await look(workshop, "a")).state.fired_count == 2

    async def test_no_tick_is_beyond_the_limit_or_the_end(self, workshop: Workshop) -> None:
        await upsert(workshop, "limited", limit=2)
        await upsert(workshop, "ending", every=60, end=workshop.clock.now() + 3 * MINUTE)
        fired = [job_id.partition("@")[0] for _ in range(5) for job_id in await fire(workshop, 1)]
        assert sorted(fired) == ["ending", "ending", "limited", "limited"]
        assert (await look(workshop, "limited")).state.next_run_at is None
        assert (await facet(workshop).fire_schedules()).next_run_at is None

    async def test_a_raised_limit_lets_it_go_on(self, workshop: Workshop) -> None:
        await upsert(workshop, "a", every=60, limit=1)
        assert [len(await fire(workshop, 1)) for _ in range(2)] == [1, 0]
        await upsert(workshop, "a", every=60, limit=2)
        assert [len(await fire(workshop, 1)) for _ in range(2)] == [1, 0]

    @pytest.mark.parametrize(("missed", "fired"), [("one", 1), ("all", 5), (Missed("all", most=2), 2), ("skip", 0)])
    async def test_missed_ticks_are_made_up_for_as_asked(
        self, workshop: Workshop, missed: Missed | str, fired: int
    ) -> None:
        await upsert(workshop, "a", every="10 minutes", missed=missed)
        found = await fire(workshop, 55)
        assert len(found) == fired
        assert await workshop.fetch_order() == found
        assert await fire(workshop, 4.5) == []
        assert len(await fire(workshop, 0.5)) == 1

    async def test_a_tick_that_is_hardly_late_is_not_missed(self, workshop: Workshop) -> None:
        await upsert(workshop, "a", every="10 minutes", missed=Missed("skip", grace="30s"))
        assert len(await fire(workshop, 10.5)) == 1

    async def test_no_job_is_added_while_one_has_not_ended(self, workshop: Workshop) -> None:
        await upsert(workshop, "a", every=60, overlap="skip")
        (first,) = await fire(workshop, 1)
        assert await fire(workshop, 1) == []
        job = await (await workshop.hand()).fetch_one()
        assert await fire(workshop, 1) == []
        await workshop.finish(job, Command.DELAY)
        assert await fire(workshop, 1) == []
        assert (await look(workshop, "a")).state.skipped_count == 3
        await workshop.jobs.cancel_job(first, "enough")
        assert len(await fire(workshop, 1)) == 1

    async def test_a_job_by_hand_is_one_that_has_not_ended(self, workshop: Workshop) -> None:
        await upsert(workshop, "a", every=60, overlap="skip")
        await facet(workshop).run_schedule("a", "by-hand")
        assert await fire(workshop, 1) == []

    async def test_the_old_job_is_cancelled_for_the_new(self, workshop: Workshop) -> None:
        await upsert(workshop, "a", every=60, overlap="cancel")
        (first,) = await fire(workshop, 1)
        job = await (await workshop.hand()).fetch_one()
        (second,) = await fire(workshop, 1)
        (third,) = await fire(workshop, 1)
        states = [await workshop.state(id) for id in (first, second, third)]
        assert states == [JobState.CANCELLED, JobState.CANCELLED, JobState.WAITING]
        assert [lock.job_id for lock in await workshop.jobs.extend_locks([lock_of(job)], MINUTE)] == [first]
        error = (await workshop.job(second)).error
        assert error is not None
        assert "schedule" in error.message

    async def test_jobs_wait_in_line_where_that_is_asked_for(self, workshop: Workshop) -> None:
        await upsert(workshop, "a")
        added = [job_id for _ in range(3) for job_id in await fire(workshop, 1)]
        assert await workshop.fetch_order() == added

    async def test_a_jobs_expiry_counts_from_its_tick(self, workshop: Workshop) -> None:
        spec = spec_of(workshop, "a")
        rule = parse_rule({"every": MINUTE}, timedelta(seconds=20))
        await facet(workshop).upsert_schedules([ScheduleSpec("a", QUEUE, NAME, b"{}", spec.options, rule)])
        (job_id,) = await fire(workshop, 1)
        assert (await workshop.job(job_id)).expires_at == workshop.clock.now() + timedelta(seconds=20)

    async def test_schedules_are_listed_by_id(self, workshop: Workshop) -> None:
        for id in ("b", "a", "C", "é"):
            await upsert(workshop, id)
        listed = await facet(workshop).list_schedules(limit=3)
        assert [schedule.id for schedule in listed] == ["C", "a", "b"]
        assert [schedule.id for schedule in await facet(workshop).list_schedules(after="b")] == ["é"]

    async def test_a_new_time_is_published(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_notifications, "has_notifications")
        assert workshop.store.notifier is not None
        async with workshop.store.notifier.subscribe(QUEUE) as hints:
            await upsert(workshop, "a")
            await heard(hints, NotificationKind.SCHEDULED)
            await facet(workshop).resume_schedule("a")
            await heard(hints, NotificationKind.SCHEDULED)

    async def test_schedules_are_there_after_a_restart(self, workshop: Workshop, open_workshop: OpenWorkshop) -> None:
        needs(workshop.store.capabilities.is_durable, "is_durable")
        await upsert(workshop, "a")
        async with open_workshop() as again:
            assert len(await fire(again, 1)) == 1
        assert (await look(workshop, "a")).state.fired_count == 1

    async def test_tasks_that_fire_at_once_fire_each_tick_once(self, workshop: Workshop) -> None:
        await make_many(workshop)
        workshop.clock.advance("1 day")
        found: list[list[Tick]] = []

        async def go() -> None:
            found.append(await fire_all(facet(workshop)))

        async with anyio.create_task_group() as tasks:
            for _ in range(CROWD):
                tasks.start_soon(go)
        await check_many(workshop, found)

    async def test_schedules_made_at_once_are_one(self, workshop: Workshop) -> None:
        # Asked for here: what a task skips is no skip of its test.
        schedules = facet(workshop)
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(partial(upsert, workshop, "a"))
        assert len(await schedules.list_schedules()) == 1

    @pytest.mark.parametrize("crowd", [in_threads, in_processes])
    def test_threads_and_processes_that_fire_at_once_fire_each_tick_once(
        self, store_url: str, anyio_backend_name: str, crowd: Callable[..., list[list[Tick]]]
    ) -> None:
        many = {"threads" if crowd is in_threads else "processes": CROWD}
        anyio.run(in_shared_store, store_url, make_many, backend=anyio_backend_name)
        found = crowd(store_url, fire_in_crowd, backend=anyio_backend_name, **many)
        anyio.run(in_shared_store, store_url, partial(check_many, found=found), backend=anyio_backend_name)


async def in_shared_store(url: str, do: Callable[[Workshop], Awaitable[None]]) -> None:
    """Do something in an opening of its own, where the store can be shared, long before the system's time."""
    clock = ManualClock(LONG_AGO)
    async with open_store(url, clock=clock) as store:
        needs(store.capabilities.is_shared and store.capabilities.has_schedules, "is_shared or has_schedules")
        await do(Workshop(store, clock))


async def make_many(workshop: Workshop) -> None:
    """Make schedules, each with several ticks, and then no more."""
    end = workshop.clock.now() + timedelta(hours=TICKS + 1)
    specs = [spec_of(workshop, f"{number:03}", every="1 hour", end=end, missed="all") for number in range(SCHEDULES)]
    await facet(workshop).upsert_schedules(specs)


async def check_many(workshop: Workshop, found: Sequence[Sequence[Tick]]) -> None:
    """Assert that each of their ticks was fired by one, and added one job."""
    made_at = (await look(workshop, "000")).state.created_at
    ticks = [made_at + timedelta(hours=number + 1) for number in range(TICKS)]
    expected = [Tick(f"{number:03}", at) for number in range(SCHEDULES) for at in ticks]
    assert sorted(tick for of_one in found for tick in of_one) == expected
    assert await workshop.queues.count_jobs(QUEUE, JobState.WAITING) == len(expected)
    assert {one.state.fired_count for one in await facet(workshop).list_schedules()} == {TICKS}
