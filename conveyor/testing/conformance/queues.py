"""Whole queues: paused, counted, listed, drained, cleaned, run again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor.errors import ConfigurationError, InvalidJobStateError
from conveyor.model.job import LogEntry
from conveyor.model.queries import ALL_NAMES, Want
from conveyor.model.states import LIVE_STATES, Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import QUEUE, Workshop, ending, lock_of

__all__ = ["PausingConformance", "QueuesConformance"]

NOTHING = timedelta(0)
LIVE = sorted(LIVE_STATES)


class PausingConformance(StoreKit):
    """What is paused is not fetched, and nothing else changes."""

    async def test_a_paused_name_is_passed_over(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", name="pack")
        await workshop.add("c", name="ship")
        await workshop.queues.pause_job_name(QUEUE, "pack")
        assert await workshop.fetch_order() == ["c"]
        await workshop.queues.resume_job_name(QUEUE, "pack")
        assert await workshop.fetch_order() == ["a", "b"]

    async def test_a_want_of_a_paused_name_gets_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a", name="pack")
        await workshop.queues.pause_job_name(QUEUE, "pack")
        assert list(await (await workshop.hand()).fetch(job_name="pack")) == []

    async def test_a_paused_queue_gives_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a", name="pack")
        await workshop.add("b", name="ship")
        await workshop.add("c", queue="elsewhere")
        await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        assert await workshop.fetch_order() == []
        assert await workshop.fetch_order(queue="elsewhere") == ["c"]
        await workshop.queues.resume_job_name(QUEUE, ALL_NAMES)
        assert await workshop.fetch_order() == ["a", "b"]

    async def test_a_pause_holds_for_every_want_of_one_fetch(self, workshop: Workshop) -> None:
        for queue in (QUEUE, "elsewhere", "nowhere"):
            await workshop.add(f"pack-{queue}", queue=queue, name="pack")
            await workshop.add(f"ship-{queue}", queue=queue, name="ship")
        await workshop.queues.pause_job_name("elsewhere", "pack")
        await workshop.queues.pause_job_name("nowhere", ALL_NAMES)
        wants = [Want(queue, 10) for queue in (QUEUE, "elsewhere", "nowhere")]
        jobs = await (await workshop.hand()).fetch_wants(*wants)
        assert [job.id for job in jobs] == [f"pack-{QUEUE}", f"ship-{QUEUE}", "ship-elsewhere"]

    async def test_resuming_the_queue_leaves_a_paused_name_paused(self, workshop: Workshop) -> None:
        await workshop.add("a", name="pack")
        await workshop.add("b", name="ship")
        await workshop.queues.pause_job_name(QUEUE, "pack")
        await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        await workshop.queues.resume_job_name(QUEUE, ALL_NAMES)
        assert await workshop.queues.get_paused_job_names(QUEUE) == {"pack"}
        assert await workshop.fetch_order() == ["b"]

    async def test_resuming_a_name_leaves_the_queue_paused(self, workshop: Workshop) -> None:
        await workshop.add("a", name="pack")
        await workshop.queues.pause_job_name(QUEUE, "pack")
        await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        await workshop.queues.resume_job_name(QUEUE, "pack")
        assert await workshop.fetch_order() == []

    async def test_paused_names_are_told(self, workshop: Workshop) -> None:
        for name in ("pack", "ship", ALL_NAMES):
            await workshop.queues.pause_job_name(QUEUE, name)
        await workshop.queues.resume_job_name(QUEUE, "ship")
        assert await workshop.queues.get_paused_job_names(QUEUE) == {"pack", ALL_NAMES}
        assert await workshop.queues.get_paused_job_names("elsewhere") == frozenset()

    async def test_a_pause_stops_no_running_job(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == []

    async def test_jobs_are_added_to_a_paused_queue(self, workshop: Workshop) -> None:
        await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        await workshop.add("a")
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_paused_fetch_during_settling_gives_nothing(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.add("b")
        await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        await workshop.finish(job)
        assert await workshop.fetch_order() == []


class QueuesConformance(StoreKit):
    """Counts, lists and bulk verbs."""

    async def test_counts_name_every_state(self, workshop: Workshop) -> None:
        for command in (Command.COMPLETE, Command.FAIL, Command.STOP):
            await workshop.finished(command, command)
        await workshop.fetched("active")
        await workshop.add("w1", "w2")
        await workshop.add("d", delay=10)
        await workshop.add("x", queue="elsewhere")
        expected = dict.fromkeys(JobState, 1) | {JobState.WAITING: 2, JobState.WAITING_CHILDREN: 0}
        assert dict(await workshop.queues.get_job_counts(QUEUE)) == expected
        for state, count in expected.items():
            assert await workshop.queues.count_jobs(QUEUE, state) == count
        assert await workshop.queues.get_active_count(QUEUE) == 1

    async def test_counts_of_no_queue_are_zeros(self, workshop: Workshop) -> None:
        assert dict(await workshop.queues.get_job_counts("nowhere")) == dict.fromkeys(JobState, 0)
        assert await workshop.queues.get_active_count("nowhere") == 0

    async def test_unsettled_jobs_are_listed_in_the_order_of_adding(self, workshop: Workshop) -> None:
        for job_id, priority in (("c", 5), ("a", 1), ("b", -3)):
            await workshop.add(job_id, priority=priority)
        listed = await workshop.queues.list_jobs(QUEUE, JobState.WAITING)
        assert [job.id for job in listed] == ["c", "a", "b"]

    async def test_delayed_jobs_are_listed_in_the_order_of_adding(self, workshop: Workshop) -> None:
        for job_id, delay in (("late", 60), ("soon", 10)):
            await workshop.add(job_id, delay=delay)
        listed = await workshop.queues.list_jobs(QUEUE, JobState.DELAYED)
        assert [job.id for job in listed] == ["late", "soon"]

    async def test_a_rerun_job_is_listed_as_added_anew(self, workshop: Workshop) -> None:
        await workshop.finished("first")
        await workshop.add("second")
        await workshop.jobs.rerun_job("first")
        listed = await workshop.queues.list_jobs(QUEUE, JobState.WAITING)
        assert [job.id for job in listed] == ["second", "first"]

    async def test_settled_jobs_are_listed_newest_end_first(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        a, b, c = await (await workshop.hand()).fetch()
        for job in (b, a, c):
            workshop.clock.advance(1)
            await workshop.finish(job)
        listed = await workshop.queues.list_jobs(QUEUE, JobState.COMPLETED)
        assert [job.id for job in listed] == ["c", "a", "b"]

    async def test_a_list_has_a_start_and_an_end(self, workshop: Workshop) -> None:
        await workshop.add(*"abcdef")
        await workshop.add("x", queue="elsewhere")
        listed = await workshop.queues.list_jobs(QUEUE, JobState.WAITING, start=2, end=4)
        assert [job.id for job in listed] == ["c", "d"]
        assert [job.id for job in await workshop.queues.list_jobs(QUEUE, JobState.WAITING, start=4)] == ["e", "f"]
        assert list(await workshop.queues.list_jobs(QUEUE, JobState.WAITING, start=6, end=9)) == []

    async def test_draining_removes_what_has_not_begun(self, workshop: Workshop) -> None:
        await workshop.finished("done")
        await workshop.fetched("active")
        await workshop.add("waiting")
        await workshop.add("delayed", delay=10)
        await workshop.add("other", queue="elsewhere")
        await workshop.jobs.append_logs([LogEntry("waiting", "hello")])
        assert await workshop.queues.drain(QUEUE) == 2
        left = await workshop.jobs.find_jobs(["done", "active", "waiting", "delayed", "other"])
        assert set(left) == {"done", "active", "other"}
        assert list(await workshop.jobs.get_logs("waiting")) == []

    async def test_cleaning_respects_the_grace(self, workshop: Workshop) -> None:
        await workshop.finished("old")
        workshop.clock.advance(60)
        await workshop.finished("new")
        workshop.clock.advance(1)
        assert await workshop.queues.clean(QUEUE, JobState.COMPLETED, timedelta(seconds=30)) == 1
        assert await workshop.state("old") is None
        assert await workshop.state("new") is JobState.COMPLETED
        assert await workshop.queues.clean(QUEUE, JobState.COMPLETED, NOTHING) == 1

    async def test_cleaning_removes_the_state_given_only(self, workshop: Workshop) -> None:
        for command in (Command.COMPLETE, Command.FAIL, Command.STOP):
            await workshop.finished(command, command)
        workshop.clock.advance(1)
        assert await workshop.queues.clean(QUEUE, JobState.FAILED, NOTHING) == 1
        assert await workshop.state(Command.FAIL) is None
        assert await workshop.state(Command.COMPLETE) is JobState.COMPLETED
        assert await workshop.state(Command.STOP) is JobState.CANCELLED

    async def test_cleaning_stops_at_the_limit(self, workshop: Workshop) -> None:
        for job_id in "abc":
            await workshop.finished(job_id)
        workshop.clock.advance(1)
        counts = [await workshop.queues.clean(QUEUE, JobState.COMPLETED, NOTHING, limit=2) for _ in range(3)]
        assert counts == [2, 1, 0]

    @pytest.mark.parametrize("state", LIVE)
    async def test_live_jobs_are_not_cleaned(self, workshop: Workshop, state: JobState) -> None:
        with pytest.raises(ConfigurationError):
            await workshop.queues.clean(QUEUE, state, NOTHING)

    @pytest.mark.parametrize("state", LIVE)
    async def test_live_jobs_are_not_run_again(self, workshop: Workshop, state: JobState) -> None:
        with pytest.raises(ConfigurationError):
            await workshop.queues.retry_jobs(QUEUE, state)

    async def test_obliterating_removes_everything(self, workshop: Workshop) -> None:
        await workshop.finished("done")
        await workshop.add("waiting")
        await workshop.add("delayed", delay=10)
        await workshop.add("other", queue="elsewhere")
        await workshop.queues.pause_job_name(QUEUE, "pack")
        assert await workshop.queues.obliterate(QUEUE) == 3
        assert dict(await workshop.queues.get_job_counts(QUEUE)) == dict.fromkeys(JobState, 0)
        assert await workshop.queues.get_paused_job_names(QUEUE) == frozenset()
        assert await workshop.state("other") is JobState.WAITING

    async def test_obliterating_stops_before_a_running_job(self, workshop: Workshop) -> None:
        await workshop.fetched("active")
        await workshop.add("waiting")
        await workshop.queues.pause_job_name(QUEUE, "pack")
        with pytest.raises(InvalidJobStateError):
            await workshop.queues.obliterate(QUEUE)
        assert set(await workshop.jobs.find_jobs(["active", "waiting"])) == {"active", "waiting"}
        assert await workshop.queues.get_paused_job_names(QUEUE) == {"pack"}

    async def test_obliterating_by_force_takes_running_jobs_too(self, workshop: Workshop) -> None:
        job = await workshop.fetched("active")
        assert await workshop.queues.obliterate(QUEUE, force=True) == 1
        assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == ["active"]
        assert await workshop.state("active") is None

    async def test_retrying_runs_settled_jobs_again_oldest_first(self, workshop: Workshop) -> None:
        for job_id in "cab":
            await workshop.finished(job_id, Command.FAIL)
            workshop.clock.advance(1)
        assert await workshop.queues.retry_jobs(QUEUE, JobState.FAILED, limit=2) == 2
        assert await workshop.state("b") is JobState.FAILED
        job = await workshop.job("c")
        assert (job.attempts_made, job.error, job.run_at) == (0, None, workshop.clock.now())
        assert await workshop.fetch_order() == ["c", "a"]

    async def test_retrying_leaves_other_states_and_queues_alone(self, workshop: Workshop) -> None:
        await workshop.finished("failed", Command.FAIL)
        await workshop.finished("done")
        assert await workshop.queues.retry_jobs("elsewhere", JobState.FAILED) == 0
        assert await workshop.queues.retry_jobs(QUEUE, JobState.COMPLETED) == 1
        assert await workshop.state("failed") is JobState.FAILED
        assert await workshop.fetch_order() == ["done"]

    async def test_promoting_in_bulk_takes_the_soonest_first(self, workshop: Workshop) -> None:
        for seconds in (30, 10, 20):
            await workshop.add(f"in-{seconds}", delay=seconds)
        await workshop.add("other", delay=5, queue="elsewhere")
        assert await workshop.queues.promote_jobs(QUEUE, limit=2) == 2
        assert await workshop.state("in-30") is JobState.DELAYED
        assert (await workshop.job("in-10")).run_at == workshop.clock.now()
        assert sorted(await workshop.fetch_order()) == ["in-10", "in-20"]
        assert await workshop.state("other") is JobState.DELAYED

    async def test_bulk_verbs_on_no_queue_do_nothing(self, workshop: Workshop) -> None:
        assert await workshop.queues.drain("nowhere") == 0
        assert await workshop.queues.clean("nowhere", JobState.FAILED, NOTHING) == 0
        assert await workshop.queues.obliterate("nowhere") == 0
        assert await workshop.queues.retry_jobs("nowhere", JobState.FAILED) == 0
        assert await workshop.queues.promote_jobs("nowhere") == 0
