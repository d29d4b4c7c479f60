"""Live jobs that are changed: other data, another time, another priority, no further attempt, failed by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor.errors import JobNotFoundError
from conveyor.model.error_groups import fingerprinted
from conveyor.model.job import AttemptOutcome
from conveyor.model.queries import Added
from conveyor.model.retention import Retention
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import NAME, QUEUE, ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["EditingConformance"]

SOON: Final = timedelta(minutes=1)
LATER: Final = timedelta(hours=1)
KEEP_ALL: Final = Retention(max_age=None)


class EditingConformance(StoreKit):
    """What an operator, or a handler, changes of a job that lives."""

    async def test_edits_of_an_unknown_job_are_refused(self, workshop: Workshop) -> None:
        jobs, now = workshop.jobs, workshop.clock.now()
        edits: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: jobs.update_data("none", b"[]"),
            lambda: jobs.change_delay("none", SOON),
            lambda: jobs.change_priority("none", 1),
            lambda: jobs.move_to_delayed("none", now),
            lambda: jobs.move_to_failed("none", "enough"),
            lambda: jobs.discard("none"),
        )
        for edit in edits:
            with pytest.raises(JobNotFoundError):
                await edit()

    async def test_new_data_is_what_the_next_run_gets(self, workshop: Workshop) -> None:
        await workshop.add("a")
        edited = await workshop.jobs.update_data("a", b"[2]")
        assert (edited.payload, edited.state) == (b"[2]", JobState.WAITING)
        job = await (await workshop.hand()).fetch_one()
        assert job.payload == b"[2]"
        assert (await workshop.jobs.update_data("a", b"[3]")).state is JobState.ACTIVE
        await workshop.finish(job, Command.RETRY)
        assert (await (await workshop.hand()).fetch_one()).payload == b"[3]"

    async def test_the_same_add_again_is_known_after_its_data_was_changed(self, workshop: Workshop) -> None:
        new = workshop.new("a", payload=b"[1]")
        await workshop.jobs.save_job(new)
        await workshop.jobs.update_data("a", b"[2]")
        assert (await workshop.jobs.save_job(new)).outcome is Added.ADDED
        other = workshop.new("a", payload=b"[2]")
        assert (await workshop.jobs.save_job(other)).outcome is Added.DUPLICATE
        assert (await workshop.job("a")).payload == b"[2]"

    async def test_a_new_priority_is_a_new_place(self, workshop: Workshop) -> None:
        for id, priority in (("a", 5), ("b", 5), ("c", 5)):
            await workshop.add(id, priority=priority)
            workshop.clock.advance(1)
        edited = await workshop.jobs.change_priority("c", 1)
        assert (edited.priority, edited.options.priority) == (1, 5)
        assert (await workshop.jobs.change_priority("a", 9)).priority == 9
        assert await workshop.fetch_order() == ["c", "b", "a"]

    async def test_within_its_new_priority_a_job_keeps_its_age(self, workshop: Workshop) -> None:
        await workshop.add("old", priority=1)
        workshop.clock.advance(1)
        await workshop.add("young", priority=2)
        await workshop.jobs.change_priority("old", 2)
        assert await workshop.fetch_order() == ["old", "young"]

    async def test_a_fetch_sees_what_became_more_urgent_than_all_it_gave_out(self, workshop: Workshop) -> None:
        await workshop.add(*"abcdef", priority=5)
        hand = await workshop.hand()
        assert [job.id for job in await hand.fetch(2)] == ["a", "b"]
        await workshop.jobs.change_priority("f", 0)
        assert [job.id for job in await hand.fetch(1)] == ["f"]

    async def test_a_delayed_job_keeps_its_new_priority(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=SOON)
        await workshop.jobs.change_priority("a", 5)
        await workshop.add("b", priority=3)
        workshop.clock.advance(SOON)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 1
        assert await workshop.fetch_order() == ["b", "a"]

    async def test_a_delay_counts_from_when_it_was_changed(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=LATER)
        workshop.clock.advance(10)
        edited = await workshop.jobs.change_delay("a", SOON)
        due_at = workshop.clock.now() + SOON
        assert (edited.state, edited.run_at) == (JobState.DELAYED, due_at)
        assert await workshop.jobs.get_next_delayed_timestamp([QUEUE]) == due_at
        workshop.clock.advance(SOON)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 1
        assert await workshop.fetch_order() == ["a"]

    async def test_a_delay_of_nothing_is_due_at_once(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=LATER)
        await workshop.jobs.change_delay("a", timedelta(0))
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 1

    async def test_the_longest_delay_is_the_end_of_the_calendar(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=LATER)
        assert (await workshop.jobs.change_delay("a", timedelta.max)).run_at.year == 9999

    @pytest.mark.parametrize("lifo", [False, True])
    async def test_a_waiting_job_is_put_off(self, workshop: Workshop, lifo: bool) -> None:
        await workshop.add("a", "b", lifo=lifo)
        due_at = workshop.clock.now() + SOON
        moved = await workshop.jobs.move_to_delayed("a", due_at)
        assert (moved.state, moved.run_at) == (JobState.DELAYED, due_at)
        assert await workshop.fetch_order() == ["b"]
        await workshop.add("c", lifo=lifo)
        workshop.clock.advance(SOON)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await workshop.fetch_order() == (["a", "c"] if lifo else ["c", "a"])

    async def test_a_time_in_the_past_is_now(self, workshop: Workshop) -> None:
        await workshop.add("a")
        moved = await workshop.jobs.move_to_delayed("a", workshop.clock.now() - LATER)
        assert (moved.state, moved.run_at) == (JobState.DELAYED, workshop.clock.now())

    async def test_a_run_that_puts_its_job_off_can_not_end_it(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        moved = await workshop.jobs.move_to_delayed("a", workshop.clock.now() + SOON)
        assert (moved.state, moved.attempts_made) == (JobState.DELAYED, 0)
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == ["a"]
        assert list(await workshop.jobs.extend_locks([lock_of(job)], SOON)) == [lock_of(job)]
        assert await workshop.state("a") is JobState.DELAYED
        assert await workshop.outcomes("a") == [AttemptOutcome.SNOOZED]
        workshop.clock.advance(SOON)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        again = await (await workshop.hand()).fetch_one()
        assert again.token != job.token

    async def test_a_job_failed_by_hand_says_why(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        failed = await workshop.jobs.move_to_failed("a", "it was wrong")
        assert (failed.state, failed.finished_at) == (JobState.FAILED, workshop.clock.now())
        assert failed.error is not None
        assert (failed.error.type, failed.error.message) == ("MovedToFailed", "it was wrong")
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == ["a"]
        assert await workshop.outcomes("a") == [AttemptOutcome.FAILED]

    async def test_a_job_failed_by_hand_before_it_ran_has_no_attempt(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await workshop.jobs.move_to_failed("a", "it was wrong")
        assert await workshop.outcomes("a") == []
        assert await workshop.fetch_order() == []

    @pytest.mark.parametrize("removal", [True, "1h"])
    async def test_a_job_failed_by_hand_goes_as_its_options_say(self, workshop: Workshop, removal: bool | str) -> None:
        await workshop.add("a", remove_on_fail=removal)
        assert (await workshop.jobs.move_to_failed("a", "enough")).state is JobState.FAILED
        if removal is True:
            assert await workshop.state("a") is None
            return
        assert await workshop.state("a") is JobState.FAILED
        workshop.clock.advance(LATER)
        assert await workshop.jobs.remove_outdated_jobs([QUEUE], KEEP_ALL) == 1

    @pytest.mark.parametrize("command", [Command.RETRY, Command.DELAY])
    async def test_a_discarded_job_fails_instead_of_another_attempt(self, workshop: Workshop, command: Command) -> None:
        job = await workshop.fetched("a", attempts=5)
        assert (await workshop.jobs.discard("a")).state is JobState.ACTIVE
        settlement = ending(lock_of(job), command)
        assert await workshop.settle(settlement) == []
        after = await workshop.job("a")
        assert settlement.error is not None
        error = fingerprinted(settlement.error, QUEUE, NAME)
        assert (after.state, after.attempts_made, after.error) == (JobState.FAILED, 1, error)
        assert await workshop.outcomes("a") == [AttemptOutcome.FAILED]
        assert await workshop.settle(settlement) == [], "the same settlement again is known"
        assert await workshop.job("a") == after

    async def test_a_discarded_job_has_the_attempt_that_waits(self, workshop: Workshop) -> None:
        await workshop.add("a", attempts=5)
        await workshop.jobs.discard("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        report = await hand.settle_and_fetch(ending(lock_of(job), Command.RETRY))
        assert (list(report.refused), list(report.jobs)) == ([], [])
        assert await workshop.state("a") is JobState.FAILED

    async def test_what_is_no_attempt_leaves_a_discarded_job_alone(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.discard("a")
        snoozed = ending(lock_of(job), Command.DELAY, is_snoozed=True)
        assert await workshop.settle(snoozed) == []
        assert await workshop.state("a") is JobState.DELAYED

    @pytest.mark.parametrize("removal", [True, "1h"])
    async def test_a_discarded_job_goes_as_its_options_say(self, workshop: Workshop, removal: bool | str) -> None:
        job = await workshop.fetched("a", remove_on_fail=removal)
        await workshop.jobs.discard("a")
        settlement = ending(lock_of(job), Command.RETRY)
        assert await workshop.settle(settlement) == []
        if removal is True:
            assert await workshop.state("a") is None
            assert await workshop.settle(settlement) == [], "the same settlement again is known"
            return
        workshop.clock.advance(LATER)
        assert await workshop.jobs.remove_outdated_jobs([QUEUE], KEEP_ALL) == 1

    async def test_a_run_that_was_retried_before_is_known_after_a_discard(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        settlement = ending(lock_of(job), Command.RETRY)
        assert await workshop.settle(settlement) == []
        await workshop.jobs.discard("a")
        assert await workshop.settle(settlement) == []
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_rerun_job_may_be_tried_again(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.discard("a")
        await workshop.finish(job, Command.RETRY)
        await workshop.jobs.rerun_job("a")
        again = await (await workshop.hand()).fetch_one()
        await workshop.finish(again, Command.RETRY)
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_discarded_stranger_is_refused(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.discard("a")
        await workshop.jobs.release_locks([lock_of(job)])
        assert await workshop.settle(ending(lock_of(job), Command.RETRY)) == ["a"]
        assert await workshop.state("a") is JobState.WAITING
