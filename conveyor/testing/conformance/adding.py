"""Adding jobs: receipts, duplicates, placement."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import QUEUE, Workshop

__all__ = ["AddingConformance"]


class AddingConformance(StoreKit):
    """A job is added once, whatever is repeated, and every add is answered in its place."""

    async def test_an_added_job_waits(self, workshop: Workshop) -> None:
        receipt = await workshop.jobs.save_job(workshop.new("a"))
        assert receipt == AddReceipt("a", Added.ADDED)
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_new_job_has_no_past(self, workshop: Workshop) -> None:
        await workshop.add("a", priority=7)
        job = await workshop.job("a")
        assert (job.priority, job.attempts_made, job.stalled_count) == (7, 0, 0)
        assert (job.started_at, job.finished_at, job.token) == (None, None, None)
        assert (job.progress, job.result, job.error) == (None, None, None)

    async def test_a_new_job_carries_the_time_of_the_store(self, workshop: Workshop) -> None:
        workshop.clock.advance("1 hour")
        await workshop.add("a")
        job = await workshop.job("a")
        assert job.created_at == workshop.clock.now()
        assert job.run_at == workshop.clock.now()

    async def test_a_delay_counts_from_the_time_of_the_store(self, workshop: Workshop) -> None:
        await workshop.add("a", delay="90s")
        job = await workshop.job("a")
        assert job.state is JobState.DELAYED
        assert job.run_at == workshop.clock.now() + timedelta(seconds=90)

    async def test_a_run_at_in_the_future_delays(self, workshop: Workshop) -> None:
        due_at = workshop.clock.now() + timedelta(days=3)
        await workshop.add("a", run_at=due_at)
        job = await workshop.job("a")
        assert (job.state, job.run_at) == (JobState.DELAYED, due_at)

    async def test_a_run_at_in_the_past_does_not_delay(self, workshop: Workshop) -> None:
        await workshop.add("a", run_at=workshop.clock.now() - timedelta(seconds=1))
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_run_at_of_now_does_not_delay(self, workshop: Workshop) -> None:
        await workshop.add("a", run_at=workshop.clock.now())
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_delay_of_nothing_does_not_delay(self, workshop: Workshop) -> None:
        await workshop.add("a", delay=0)
        assert await workshop.state("a") is JobState.WAITING

    async def test_answers_come_in_the_order_of_the_input(self, workshop: Workshop) -> None:
        await workshop.add("b", "d")
        jobs = [workshop.new(job_id, payload=b"[1]") for job_id in ("e", "d", "c", "b", "a")]
        receipts = await workshop.jobs.save_jobs(jobs)
        assert list(receipts) == [
            AddReceipt("e", Added.ADDED),
            AddReceipt("d", Added.DUPLICATE),
            AddReceipt("c", Added.ADDED),
            AddReceipt("b", Added.DUPLICATE),
            AddReceipt("a", Added.ADDED),
        ]

    async def test_adding_nothing_answers_nothing(self, workshop: Workshop) -> None:
        assert list(await workshop.jobs.save_jobs([])) == []

    async def test_the_same_add_again_adds_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a")
        workshop.clock.advance(5)
        assert (await workshop.jobs.save_job(workshop.new("a"))).outcome is Added.ADDED
        assert (await workshop.job("a")).created_at == workshop.clock.now() - timedelta(seconds=5)
        assert await workshop.fetch_order() == ["a"]

    async def test_the_same_add_with_other_options_is_the_same_add(self, workshop: Workshop) -> None:
        await workshop.add("a", priority=1)
        receipt = await workshop.jobs.save_job(workshop.new("a", priority=9, delay="1h"))
        assert receipt.outcome is Added.ADDED
        job = await workshop.job("a")
        assert (job.state, job.priority) == (JobState.WAITING, 1)

    @pytest.mark.parametrize("command", [Command.COMPLETE, Command.FAIL, Command.STOP])
    async def test_the_same_add_after_the_job_settled_adds_nothing(self, workshop: Workshop, command: Command) -> None:
        await workshop.finished("a", command)
        settled = await workshop.job("a")
        assert (await workshop.jobs.save_job(workshop.new("a"))).outcome is Added.ADDED
        assert await workshop.job("a") == settled

    async def test_the_same_add_after_a_rerun_with_another_payload_adds_nothing(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        rerun = await workshop.jobs.rerun_job("a", b"[2]")
        assert await workshop.jobs.save_job(workshop.new("a")) == AddReceipt("a", Added.ADDED)
        assert await workshop.jobs.save_job(workshop.new("a", payload=b"[2]")) == AddReceipt("a", Added.DUPLICATE)
        assert await workshop.job("a") == rerun

    async def test_the_same_add_while_the_job_runs_adds_nothing(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        assert (await workshop.jobs.save_job(workshop.new("a"))).outcome is Added.ADDED
        assert await workshop.state("a") is JobState.ACTIVE

    async def test_another_payload_under_a_taken_id_is_a_duplicate(self, workshop: Workshop) -> None:
        await workshop.add("a")
        receipt = await workshop.jobs.save_job(workshop.new("a", payload=b"[2]"))
        assert receipt == AddReceipt("a", Added.DUPLICATE)
        assert (await workshop.job("a")).payload == b"{}"

    async def test_another_name_under_a_taken_id_is_a_duplicate(self, workshop: Workshop) -> None:
        await workshop.add("a")
        receipt = await workshop.jobs.save_job(workshop.new("a", name="ship"))
        assert receipt == AddReceipt("a", Added.DUPLICATE)

    async def test_an_id_is_unique_over_all_queues(self, workshop: Workshop) -> None:
        await workshop.add("a")
        receipt = await workshop.jobs.save_job(workshop.new("a", queue="elsewhere"))
        assert receipt == AddReceipt("a", Added.DUPLICATE)
        assert await workshop.jobs.get_job("elsewhere", "a") is None

    async def test_an_id_stays_taken_while_the_settled_job_is_kept(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        receipt = await workshop.jobs.save_job(workshop.new("a", payload=b"[2]"))
        assert receipt == AddReceipt("a", Added.DUPLICATE)

    async def test_the_id_of_a_removed_job_is_free(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await workshop.jobs.remove_job("a")
        receipt = await workshop.jobs.save_job(workshop.new("a", payload=b"[2]"))
        assert receipt == AddReceipt("a", Added.ADDED)
        assert (await workshop.job("a")).payload == b"[2]"

    async def test_the_same_add_twice_in_one_call_adds_one_job(self, workshop: Workshop) -> None:
        receipts = await workshop.jobs.save_jobs([workshop.new("a"), workshop.new("a")])
        assert [receipt.outcome for receipt in receipts] == [Added.ADDED, Added.ADDED]
        assert await workshop.fetch_order() == ["a"]

    async def test_a_duplicate_within_one_call_is_told(self, workshop: Workshop) -> None:
        receipts = await workshop.jobs.save_jobs([workshop.new("a"), workshop.new("a", payload=b"[2]")])
        assert [receipt.outcome for receipt in receipts] == [Added.ADDED, Added.DUPLICATE]
        assert (await workshop.job("a")).payload == b"{}"

    async def test_a_job_is_found_in_its_own_queue_only(self, workshop: Workshop) -> None:
        await workshop.add("a")
        assert await workshop.jobs.get_job(QUEUE, "a") == await workshop.jobs.find_job("a")
        assert await workshop.jobs.get_job("elsewhere", "a") is None

    async def test_a_job_that_never_was_is_none(self, workshop: Workshop) -> None:
        assert await workshop.jobs.get_job(QUEUE, "nobody") is None
        assert await workshop.jobs.find_job("nobody") is None

    async def test_jobs_are_found_by_their_ids_over_all_queues(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        await workshop.add("c", queue="elsewhere")
        found = await workshop.jobs.find_jobs(["c", "nobody", "a"])
        assert {job_id: job.queue_name for job_id, job in found.items()} == {"a": QUEUE, "c": "elsewhere"}

    async def test_looking_for_no_ids_finds_none(self, workshop: Workshop) -> None:
        await workshop.add("a")
        assert dict(await workshop.jobs.find_jobs([])) == {}
