"""Deduplication: what an add does whose key another job holds, and what frees a key."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from conveyor.model.deduplication import Deduplication
from conveyor.model.groups import Group
from conveyor.model.locks import Lock
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.retention import Retention
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, NAME, QUEUE, Workshop, ending, lock_of

if TYPE_CHECKING:
    from conveyor.model.job import NewJob

__all__ = ["DeduplicationConformance"]

KEY: Final = "order-17"
MODES: Final = ("keep", "replace", "debounce", "throttle", "reject")
ANSWERS: Final = {
    "keep": Added.KEPT,
    "replace": Added.REPLACED,
    "debounce": Added.POSTPONED,
    "throttle": Added.THROTTLED,
    "reject": Added.REJECTED,
}
ENDS: Final = [Command.COMPLETE, Command.FAIL, Command.STOP]


def asked(mode: str = "keep", *, key: str = KEY, ttl: str | None = None, states: Any = None) -> Deduplication:
    """Return a deduplication; throttling gets a window of a minute."""
    return Deduplication(key=key, mode=mode, ttl=ttl or ("1 minute" if mode == "throttle" else None), states=states)


def keyed(workshop: Workshop, id: str, mode: str = "keep", *, delay: str | None = None, **more: Any) -> NewJob:
    """Return a job with a key; one to be debounced is delayed by ten seconds."""
    delay = delay or ("10s" if mode == "debounce" else None)
    placed = {name: more.pop(name) for name in ("queue", "name", "payload", "priority", "expires") if name in more}
    return workshop.new(id, delay=delay, deduplication=asked(mode, **more), **placed)


async def add(workshop: Workshop, id: str, mode: str = "keep", **more: Any) -> AddReceipt:
    """Add a job with a key, and return the answer."""
    return await workshop.jobs.save_job(keyed(workshop, id, mode, **more))


async def holder(workshop: Workshop, key: str = KEY) -> str | None:
    """Return the id of the live job that has the key."""
    job = await workshop.jobs.find_by_deduplication_key(QUEUE, NAME, key)
    return None if job is None else job.id


async def run(workshop: Workshop) -> Lock:
    """Fetch the one job that waits, and return its lock."""
    return lock_of(await (await workshop.hand()).fetch_one())


class DeduplicationConformance(StoreKit):
    """Of the jobs with one key, one is there; each add is told what became of it."""

    @pytest.fixture(autouse=True)
    def _needs_deduplication(self, request: pytest.FixtureRequest) -> None:
        """Skip where the store has none."""
        # Of this class alone: the tests of a store are of one class, which inherits all of the kit. By name:
        # whoever needs no open store opens none.
        if request.function.__qualname__.startswith(DeduplicationConformance.__name__) and (
            "workshop" in request.fixturenames
        ):
            workshop: Workshop = request.getfixturevalue("workshop")
            needs(workshop.store.capabilities.has_deduplication, "has_deduplication")

    @pytest.mark.parametrize("mode", MODES)
    async def test_the_first_with_a_key_is_added_and_the_second_is_told(self, workshop: Workshop, mode: str) -> None:
        assert await add(workshop, "a", mode) == AddReceipt("a", Added.ADDED)
        assert await add(workshop, "b", mode) == AddReceipt("a", ANSWERS[mode])
        assert await workshop.state("b") is None
        assert await holder(workshop) == "a"

    @pytest.mark.parametrize("other", [{"key": "order-18"}, {"queue": "elsewhere"}, {"name": "ship"}])
    async def test_the_queue_and_the_name_belong_to_the_key(self, workshop: Workshop, other: dict[str, str]) -> None:
        await add(workshop, "a")
        assert await add(workshop, "b", **other) == AddReceipt("b", Added.ADDED)

    async def test_jobs_without_a_key_are_left_alone(self, workshop: Workshop) -> None:
        await add(workshop, "a")
        await workshop.add("b", "c")
        assert await workshop.fetch_order() == ["a", "b", "c"]

    @pytest.mark.parametrize("mode", ["keep", "reject", "throttle"])
    async def test_a_job_that_is_kept_stays_as_it_is(self, workshop: Workshop, mode: str) -> None:
        await add(workshop, "a", mode, payload=b"[1]")
        before = await workshop.job("a")
        workshop.clock.advance(1)
        await add(workshop, "b", mode, payload=b"[2]", delay="1h", priority=4)
        assert await workshop.job("a") == before

    # Replacing and putting off.

    async def test_replacing_gives_arguments_options_and_delay(self, workshop: Workshop) -> None:
        await add(workshop, "a", "replace", payload=b"[1]", priority=1)
        workshop.clock.advance(1)
        expires = workshop.clock.now() + timedelta(hours=1)
        await add(workshop, "b", "replace", payload=b"[2]", priority=2, delay="30s", expires=expires)
        job = await workshop.job("a")
        assert (job.payload, job.priority, job.options.priority) == (b"[2]", 2, 2)
        assert (job.state, job.run_at) == (JobState.DELAYED, workshop.clock.now() + timedelta(seconds=30))
        assert job.expires_at == expires

    async def test_a_job_replaced_without_delay_keeps_its_place(self, workshop: Workshop) -> None:
        await add(workshop, "a", "replace")
        workshop.clock.advance(1)
        await workshop.add("between")
        await add(workshop, "b", "replace", payload=b"[2]")
        assert await workshop.fetch_order() == ["a", "between"]

    async def test_a_delayed_job_replaced_without_delay_waits(self, workshop: Workshop) -> None:
        await add(workshop, "a", "replace", delay="1h")
        workshop.clock.advance(1)
        await add(workshop, "b", "replace")
        job = await workshop.job("a")
        assert (job.state, job.run_at) == (JobState.WAITING, workshop.clock.now())

    async def test_a_replaced_priority_is_the_order(self, workshop: Workshop) -> None:
        await workshop.add("first")
        await add(workshop, "a", "replace")
        await add(workshop, "b", "replace", priority=-1)
        assert await workshop.fetch_order() == ["a", "first"]

    async def test_debouncing_puts_the_job_off_and_leaves_the_rest(self, workshop: Workshop) -> None:
        await add(workshop, "a", "debounce", payload=b"[1]")
        workshop.clock.advance(7)
        await add(workshop, "b", "debounce", payload=b"[2]", priority=3)
        job = await workshop.job("a")
        assert job.run_at == workshop.clock.now() + timedelta(seconds=10)
        assert (job.state, job.payload, job.priority) == (JobState.DELAYED, b"[1]", 0)

    async def test_a_waiting_job_can_be_put_off(self, workshop: Workshop) -> None:
        await add(workshop, "a", "debounce")
        await workshop.jobs.promote_job("a")
        await add(workshop, "b", "debounce")
        assert await workshop.state("a") is JobState.DELAYED
        assert await workshop.fetch_order() == []

    @pytest.mark.parametrize("mode", ["replace", "debounce"])
    async def test_a_job_that_runs_is_not_changed_and_another_is_added(self, workshop: Workshop, mode: str) -> None:
        await add(workshop, "a")
        lock = await run(workshop)
        assert await add(workshop, "b", mode, payload=b"[2]") == AddReceipt("b", Added.ADDED)
        assert (await workshop.job("a")).payload == b"{}"
        # The newer one has the key now, also when the older waits again.
        assert await workshop.jobs.release_locks([lock]) == []
        assert await add(workshop, "c", mode) == AddReceipt("b", ANSWERS[mode])

    async def test_a_replaced_job_is_known_by_its_first_add(self, workshop: Workshop) -> None:
        await add(workshop, "a", "replace", payload=b"[1]")
        await add(workshop, "b", "replace", payload=b"[2]")
        assert await add(workshop, "a", "replace", payload=b"[1]") == AddReceipt("a", Added.ADDED)
        assert (await workshop.job("a")).payload == b"[2]"

    # What frees a key.

    @pytest.mark.parametrize("mode", ["keep", "reject"])
    async def test_a_key_is_held_until_its_job_settles(self, workshop: Workshop, mode: str) -> None:
        await add(workshop, "a", mode)
        lock = await run(workshop)
        assert (await add(workshop, "b", mode)).outcome is ANSWERS[mode]
        await workshop.settle(ending(lock, Command.RETRY))
        assert (await add(workshop, "b2", mode)).outcome is ANSWERS[mode]
        await workshop.settle(ending(await run(workshop), Command.COMPLETE))
        assert await holder(workshop) is None
        assert await add(workshop, "c", mode) == AddReceipt("c", Added.ADDED)
        assert await add(workshop, "d", mode) == AddReceipt("c", ANSWERS[mode])

    @pytest.mark.parametrize("command", ENDS)
    @pytest.mark.parametrize("is_removed", [False, True])
    async def test_every_end_frees_the_key(self, workshop: Workshop, command: Command, is_removed: bool) -> None:
        await add(workshop, "a")
        await workshop.settle(ending(await run(workshop), command, is_removed=is_removed))
        assert await add(workshop, "b") == AddReceipt("b", Added.ADDED)

    @pytest.mark.parametrize("way", ["cancel", "remove", "drain", "obliterate", "expire", "stall"])
    async def test_whatever_ends_a_job_frees_its_key(self, workshop: Workshop, way: str) -> None:
        await add(workshop, "a", expires=workshop.clock.now() + timedelta(hours=1))
        if way == "cancel":
            await workshop.jobs.cancel_job("a", "sold out")
        elif way == "remove":
            await workshop.jobs.remove_job("a")
        elif way == "drain":
            assert await workshop.queues.drain(QUEUE) == 1
        elif way == "obliterate":
            assert await workshop.queues.obliterate(QUEUE) == 1
        elif way == "expire":
            workshop.clock.advance("2h")
            assert await workshop.jobs.expire_jobs() == 1
        else:
            await run(workshop)
            workshop.clock.advance(LOCK * 2)
            assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(0)] == ["a"]
        assert await add(workshop, "b") == AddReceipt("b", Added.ADDED)

    async def test_a_stalled_job_that_waits_again_holds_its_key(self, workshop: Workshop) -> None:
        await add(workshop, "a")
        await run(workshop)
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(3)
        assert await add(workshop, "b") == AddReceipt("a", Added.KEPT)

    async def test_a_key_is_free_when_its_time_is_over(self, workshop: Workshop) -> None:
        await add(workshop, "a", ttl="30s")
        workshop.clock.advance(29)
        assert await add(workshop, "b", ttl="30s") == AddReceipt("a", Added.KEPT)
        workshop.clock.advance(1)
        assert await holder(workshop) is None
        assert await add(workshop, "c", ttl="30s") == AddReceipt("c", Added.ADDED)
        workshop.clock.advance(29)
        assert await add(workshop, "d", ttl="30s") == AddReceipt("c", Added.KEPT)

    async def test_debouncing_ends_with_its_time(self, workshop: Workshop) -> None:
        for number in range(3):
            assert (await add(workshop, f"a{number}", "debounce", ttl="25s")).job_id == "a0"
            workshop.clock.advance(9)
        assert await add(workshop, "b", "debounce", ttl="25s") == AddReceipt("b", Added.ADDED)

    @pytest.mark.parametrize("way", ["settle", "settle and remove", "remove", "drain"])
    async def test_a_window_stands_whatever_becomes_of_its_job(self, workshop: Workshop, way: str) -> None:
        await add(workshop, "a", "throttle")
        if way == "remove":
            await workshop.jobs.remove_job("a")
        elif way == "drain":
            await workshop.queues.drain(QUEUE)
        else:
            end = ending(await run(workshop), Command.COMPLETE, is_removed=way == "settle and remove")
            assert await workshop.settle(end) == []
        workshop.clock.advance(59)
        assert await add(workshop, "b", "throttle") == AddReceipt("a", Added.THROTTLED)
        workshop.clock.advance(1)
        assert await add(workshop, "c", "throttle") == AddReceipt("c", Added.ADDED)
        workshop.clock.advance(59)
        assert await add(workshop, "d", "throttle") == AddReceipt("c", Added.THROTTLED)

    async def test_an_obliterated_queue_has_no_windows(self, workshop: Workshop) -> None:
        await add(workshop, "a", "throttle")
        await workshop.queues.obliterate(QUEUE)
        assert await add(workshop, "b", "throttle") == AddReceipt("b", Added.ADDED)

    async def test_states_say_where_a_key_is_held(self, workshop: Workshop) -> None:
        waits: dict[str, Any] = {"states": [JobState.WAITING]}
        await add(workshop, "a", **waits)
        assert await add(workshop, "b", **waits) == AddReceipt("a", Added.KEPT)
        await run(workshop)
        assert await add(workshop, "c", **waits) == AddReceipt("c", Added.ADDED)

    async def test_a_settled_job_can_hold_its_key_for_as_long_as_it_is_kept(self, workshop: Workshop) -> None:
        done: dict[str, Any] = {"states": [*JobState]}
        await add(workshop, "a", **done)
        await workshop.settle(ending(await run(workshop), Command.COMPLETE))
        assert await add(workshop, "b", **done) == AddReceipt("a", Added.KEPT)
        workshop.clock.advance("1h")
        assert await workshop.jobs.remove_outdated_jobs([QUEUE], Retention(max_age="1h")) == 1
        assert await add(workshop, "c", **done) == AddReceipt("c", Added.ADDED)

    async def test_a_job_cleaned_away_holds_no_key(self, workshop: Workshop) -> None:
        done: dict[str, Any] = {"states": [*JobState]}
        await add(workshop, "a", **done)
        await workshop.settle(ending(await run(workshop), Command.FAIL))
        workshop.clock.advance(1)
        assert await workshop.queues.clean(QUEUE, JobState.FAILED, timedelta(0)) == 1
        assert await add(workshop, "b", **done) == AddReceipt("b", Added.ADDED)

    async def test_a_job_that_is_rerun_has_its_key_again(self, workshop: Workshop) -> None:
        await add(workshop, "a")
        await workshop.settle(ending(await run(workshop), Command.FAIL))
        await workshop.jobs.rerun_job("a")
        assert await add(workshop, "b") == AddReceipt("a", Added.KEPT)

    async def test_a_job_that_is_rerun_after_its_key_was_taken_runs_without(self, workshop: Workshop) -> None:
        await add(workshop, "a")
        await workshop.settle(ending(await run(workshop), Command.FAIL))
        await add(workshop, "b")
        await workshop.jobs.rerun_job("a")
        assert await workshop.fetch_order() == ["b", "a"]
        assert await add(workshop, "c") == AddReceipt("b", Added.KEPT)

    async def test_the_older_of_two_frees_nothing(self, workshop: Workshop) -> None:
        await add(workshop, "a", states=[JobState.WAITING])
        lock = await run(workshop)
        await add(workshop, "b", states=[JobState.WAITING])
        await workshop.settle(ending(lock, Command.COMPLETE, is_removed=True))
        assert await add(workshop, "c") == AddReceipt("b", Added.KEPT)

    # Repetition, bulk, transactions.

    @pytest.mark.parametrize("mode", MODES)
    async def test_the_same_add_again_is_answered_alike_and_changes_nothing(
        self, workshop: Workshop, mode: str
    ) -> None:
        await add(workshop, "a", mode)
        again = keyed(workshop, "b", mode, payload=b"[2]")
        first = await workshop.jobs.save_job(again)
        workshop.clock.advance(5)
        between = await add(workshop, "c", mode, payload=b"[3]")
        assert between == first
        job = await workshop.job("a")
        workshop.clock.advance(3)
        assert await workshop.jobs.save_job(again) == first
        assert await workshop.job("a") == job

    @pytest.mark.parametrize("mode", MODES)
    async def test_the_same_add_again_after_the_holder_ended_adds_nothing(self, workshop: Workshop, mode: str) -> None:
        await add(workshop, "a", mode)
        first = await add(workshop, "b", mode)
        await workshop.jobs.cancel_job("a", "sold out")
        assert await add(workshop, "b", mode) == first
        assert await workshop.state("b") is None

    async def test_an_answer_that_was_forgotten_is_given_anew(self, workshop: Workshop) -> None:
        for number in range(4):
            await add(workshop, f"a{number}", key=str(number))
            await add(workshop, f"b{number}", key=str(number))
        workshop.clock.advance("1 hour")
        assert await add(workshop, "b3", key="3") == AddReceipt("a3", Added.KEPT)
        await workshop.jobs.cancel_job("a2", "sold out")
        assert await add(workshop, "b2", key="2") == AddReceipt("b2", Added.ADDED)

    @pytest.mark.parametrize("mode", MODES)
    async def test_the_first_add_again_is_the_same_add(self, workshop: Workshop, mode: str) -> None:
        await add(workshop, "a", mode)
        before = await workshop.job("a")
        workshop.clock.advance(5)
        assert await add(workshop, "a", mode) == AddReceipt("a", Added.ADDED)
        assert await workshop.job("a") == before

    async def test_a_repeated_first_add_does_not_begin_its_window_anew(self, workshop: Workshop) -> None:
        await add(workshop, "a", "throttle")
        workshop.clock.advance(61)
        assert await add(workshop, "a", "throttle") == AddReceipt("a", Added.ADDED)
        assert await add(workshop, "b", "throttle") == AddReceipt("b", Added.ADDED)

    async def test_an_id_that_is_taken_is_a_duplicate_and_takes_no_key(self, workshop: Workshop) -> None:
        await workshop.add("a")
        assert await add(workshop, "a", payload=b"[2]") == AddReceipt("a", Added.DUPLICATE)
        assert await holder(workshop) is None
        assert await add(workshop, "b") == AddReceipt("b", Added.ADDED)

    async def test_within_one_call_jobs_are_added_one_after_the_other(self, workshop: Workshop) -> None:
        await add(workshop, "a", key="old")
        jobs = [
            keyed(workshop, "b", key="new"),
            workshop.new("plain"),
            keyed(workshop, "c", key="old"),
            keyed(workshop, "d", "replace", key="new", payload=b"[2]"),
            keyed(workshop, "b", key="new"),
            keyed(workshop, "e", key="other"),
            keyed(workshop, "plain", key="other", payload=b"[2]"),
        ]
        answers = [
            AddReceipt("b", Added.ADDED),
            AddReceipt("plain", Added.ADDED),
            AddReceipt("a", Added.KEPT),
            AddReceipt("b", Added.REPLACED),
            AddReceipt("b", Added.ADDED),
            AddReceipt("e", Added.ADDED),
            AddReceipt("plain", Added.DUPLICATE),
        ]
        assert list(await workshop.jobs.save_jobs(jobs)) == answers
        assert (await workshop.job("b")).payload == b"[2]"
        assert await workshop.fetch_order() == ["a", "b", "plain", "e"]
        assert list(await workshop.jobs.save_jobs(jobs)) == answers

    async def test_a_full_group_refuses_only_what_meets_no_key(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_limits, "has_limits")
        group = Group("acme", max_size=1)
        first, again, other = (
            workshop.new(id, group=group, deduplication=asked("throttle", key=key))
            for id, key in (("a", "one"), ("b", "one"), ("c", "two"))
        )
        receipts = [await workshop.jobs.save_job(job) for job in (first, again, other)]
        assert [receipt.outcome for receipt in receipts] == [Added.ADDED, Added.THROTTLED, Added.GROUP_FULL]
        # What was refused took no key.
        await workshop.jobs.remove_job("a")
        assert (await workshop.jobs.save_job(other)).outcome is Added.ADDED

    async def test_many_keys_in_one_call_are_all_taken(self, workshop: Workshop) -> None:
        jobs = [keyed(workshop, f"job-{number:03}", key=f"key-{number % 50}") for number in range(150)]
        receipts = await workshop.jobs.save_jobs(jobs)
        assert [receipt.job_id for receipt in receipts] == [f"job-{number % 50:03}" for number in range(150)]
        assert len(await workshop.fetch_order()) == 50

    async def test_a_job_is_found_by_its_key(self, workshop: Workshop) -> None:
        await add(workshop, "a")
        assert await workshop.jobs.find_by_deduplication_key(QUEUE, NAME, KEY) == await workshop.job("a")
        assert await workshop.jobs.find_by_deduplication_key(QUEUE, "ship", KEY) is None
        assert await workshop.jobs.find_by_deduplication_key("elsewhere", NAME, KEY) is None
