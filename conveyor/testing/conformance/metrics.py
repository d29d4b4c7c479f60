"""Metrics: what is counted of runs as they are settled, for each minute, hour and before; how full queues are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest
from attrs import evolve

from conveyor.model.job import AttemptOutcome
from conveyor.model.metrics import HOUR, MINUTE, begin_of, bucket_of
from conveyor.model.queries import Want
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, NAME, OUTCOMES, QUEUE, Workshop, ending, lock_of, stranger

if TYPE_CHECKING:
    from conveyor.contracts.store import MetricsStore
    from conveyor.model.metrics import RollUp

__all__ = ["MetricsConformance"]

LIVE: Final = (JobState.WAITING, JobState.WAITING_CHILDREN, JobState.DELAYED, JobState.ACTIVE)
NOTHING: Final = dict.fromkeys(LIVE, 0)
SESSIONS: Final = 4
RUNS: Final = 5


async def outcomes(metrics: MetricsStore) -> dict[AttemptOutcome, int]:
    """Return all that was ever counted."""
    return dict((await metrics.get_metrics(None)).total().outcomes)


async def spans(metrics: MetricsStore, window: timedelta | None = None) -> list[RollUp]:
    """Return the roll-ups."""
    return list((await metrics.get_metrics(window)).roll_ups)


class MetricsConformance(StoreKit):
    """What a store counts."""

    @pytest.fixture
    def metrics(self, workshop: Workshop) -> MetricsStore:
        """The facet, where the store has it."""
        needs(workshop.store.capabilities.has_metrics, "has_metrics")
        assert workshop.store.metrics is not None, "a store that declares has_metrics=True must have metrics"
        return workshop.store.metrics

    @pytest.mark.parametrize("command", OUTCOMES)
    async def test_a_settled_run_is_counted_by_its_outcome(
        self, workshop: Workshop, metrics: MetricsStore, command: Command
    ) -> None:
        await workshop.finished("a", command)
        (counted,) = await spans(metrics)
        assert (counted.queue_name, counted.name) == (QUEUE, NAME)
        assert (counted.start, counted.span) == (begin_of(workshop.clock.now(), MINUTE), MINUTE)
        assert counted.outcomes == {OUTCOMES[command]: 1}

    async def test_a_snoozed_run_is_counted_as_such(self, workshop: Workshop, metrics: MetricsStore) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.DELAY, is_snoozed=True))
        assert await outcomes(metrics) == {AttemptOutcome.SNOOZED: 1}

    async def test_a_run_is_counted_whose_job_leaves_no_record(self, workshop: Workshop, metrics: MetricsStore) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.COMPLETE, is_removed=True))
        assert await outcomes(metrics) == {AttemptOutcome.COMPLETED: 1}

    async def test_times_are_kept_as_histograms(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.add("a", "b", "c")
        jobs = await (await workshop.hand()).fetch()
        times = [(0.002, 0.5), (0.002, 0.5), (3600.0, 90.0)]
        await workshop.settle(
            *(
                evolve(ending(lock_of(job), Command.COMPLETE), wait_seconds=wait, run_seconds=run)
                for job, (wait, run) in zip(jobs, times, strict=True)
            )
        )
        (counted,) = await spans(metrics)
        assert counted.waits.buckets == {bucket_of(0.002): 2, bucket_of(3600.0): 1}
        assert counted.waits.total == timedelta(hours=1, milliseconds=4)
        assert counted.runs.buckets == {bucket_of(0.5): 2, bucket_of(90.0): 1}
        assert counted.runs.total == timedelta(seconds=91)

    async def test_each_name_of_each_queue_is_counted_apart(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.add("a", "b")
        await workshop.add("c", name="unpack")
        await workshop.add("d", queue="emails")
        jobs = await (await workshop.hand()).fetch_wants(Want(QUEUE, 3), Want("emails", 1))
        await workshop.settle(
            *(evolve(ending(lock_of(job), Command.COMPLETE, queue=job.queue_name), name=job.name) for job in jobs)
        )
        found = {(one.queue_name, one.name): one.count for one in await spans(metrics)}
        assert found == {("emails", NAME): 1, (QUEUE, NAME): 2, (QUEUE, "unpack"): 1}
        (only,) = (await metrics.get_metrics(None, queue_names=["emails"])).roll_ups
        assert only.queue_name == "emails"

    async def test_a_refused_or_repeated_end_counts_nothing(self, workshop: Workshop, metrics: MetricsStore) -> None:
        job = await workshop.finished("a")
        await workshop.finish(job)
        again = await workshop.finished("b", Command.RETRY)
        await workshop.finish(again, Command.RETRY)
        assert await workshop.settle(ending(stranger("b"), Command.COMPLETE)) == ["b"]
        assert await workshop.settle(ending(stranger("nobody"), Command.COMPLETE)) == ["nobody"]
        assert await outcomes(metrics) == {AttemptOutcome.COMPLETED: 1, AttemptOutcome.RETRIED: 1}

    @pytest.mark.parametrize("command", [Command.COMPLETE, Command.FAIL, Command.RETRY])
    async def test_of_one_call_only_what_was_applied_is_counted(
        self, workshop: Workshop, metrics: MetricsStore, command: Command
    ) -> None:
        await workshop.add("a", "b", "c", "d")
        first, second, third, fourth = await (await workshop.hand()).fetch()
        await workshop.finish(first, command)
        await workshop.jobs.cancel_job("b", "not needed")
        ends = [ending(lock_of(job), command) for job in (first, second, third)]
        removed = ending(lock_of(fourth), Command.COMPLETE, is_removed=True)
        assert await workshop.settle(*ends, removed) == ["b"]
        expected = {OUTCOMES[command]: 2}
        expected[AttemptOutcome.COMPLETED] = expected.get(AttemptOutcome.COMPLETED, 0) + 1
        assert await outcomes(metrics) == expected

    async def test_a_discarded_job_that_asks_for_another_attempt_failed(
        self, workshop: Workshop, metrics: MetricsStore
    ) -> None:
        job = await workshop.fetched("a")
        other = await workshop.fetched("b")
        await workshop.jobs.discard("a")
        await workshop.settle(ending(lock_of(job), Command.RETRY), ending(lock_of(other), Command.RETRY))
        assert await outcomes(metrics) == {AttemptOutcome.FAILED: 1, AttemptOutcome.RETRIED: 1}

    async def test_a_settlement_that_fetches_counts_once(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        report = await hand.settle_and_fetch(ending(lock_of(job), Command.COMPLETE), Want(QUEUE, 1))
        assert [fetched.id for fetched in report.jobs] == ["b"]
        assert await outcomes(metrics) == {AttemptOutcome.COMPLETED: 1}

    async def test_a_job_whose_worker_died_counts_a_stall(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK + timedelta(seconds=1))
        assert len(await workshop.jobs.reclaim_stalled_jobs(3)) == 1
        (counted,) = await spans(metrics)
        assert (counted.queue_name, counted.name) == (QUEUE, NAME)
        assert counted.outcomes == {AttemptOutcome.STALLED: 1}
        assert (counted.waits.count, counted.runs.count) == (0, 0)

    async def test_a_job_that_stalled_too_often_counts_a_stall(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.fetched("a", remove_on_fail=True)
        workshop.clock.advance(LOCK + timedelta(seconds=1))
        assert len(await workshop.jobs.reclaim_stalled_jobs(0)) == 1
        assert await outcomes(metrics) == {AttemptOutcome.STALLED: 1}

    async def test_what_an_operator_ends_is_no_run_settled(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.fetched("a")
        await workshop.jobs.cancel_job("a", "")
        await workshop.fetched("b")
        await workshop.jobs.move_to_failed("b", "")
        assert await outcomes(metrics) == {}

    async def test_sessions_that_settle_at_once_lose_no_count(self, workshop: Workshop, metrics: MetricsStore) -> None:
        total = SESSIONS * RUNS
        await workshop.add(*(f"job-{number}" for number in range(total)))

        async def work() -> None:
            hand = await workshop.hand()
            for _ in range(RUNS):
                await workshop.finish(await hand.fetch_one())

        async with anyio.create_task_group() as tasks:
            for _ in range(SESSIONS):
                tasks.start_soon(work)
        assert await outcomes(metrics) == {AttemptOutcome.COMPLETED: total}

    async def test_runs_are_counted_in_the_minute_in_which_they_ended(
        self, workshop: Workshop, metrics: MetricsStore
    ) -> None:
        await workshop.finished("a")
        workshop.clock.advance("1 minute")
        await workshop.finished("b")
        await workshop.finished("c")
        now = begin_of(workshop.clock.now(), MINUTE)
        assert [(one.start, one.count) for one in await spans(metrics)] == [(now - MINUTE, 1), (now, 2)]

    async def test_a_window_has_the_spans_that_end_in_it(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.finished("a")
        workshop.clock.advance("2 minutes")
        await workshop.finished("b")
        since_begin = workshop.clock.now() - begin_of(workshop.clock.now(), MINUTE)
        assert sum(one.count for one in await spans(metrics, since_begin + MINUTE)) == 1
        assert sum(one.count for one in await spans(metrics, since_begin + MINUTE + timedelta(microseconds=1))) == 2
        report = await metrics.get_metrics(MINUTE)
        assert (report.at, report.window) == (workshop.clock.now(), MINUTE)

    async def test_old_minutes_are_added_up_to_hours(self, workshop: Workshop, metrics: MetricsStore) -> None:
        hour = begin_of(workshop.clock.now(), HOUR) + HOUR
        workshop.clock.advance(hour - workshop.clock.now())
        ends = {0: Command.COMPLETE, 10: Command.COMPLETE, 49: Command.FAIL, 2: Command.COMPLETE}
        for minutes, command in ends.items():
            workshop.clock.advance(timedelta(minutes=minutes))
            await workshop.finished(f"job-{minutes}", command)
        # The first hour is over, and the second has begun.
        assert await metrics.roll_up(timedelta(minutes=1), None) == 3
        first, second = await spans(metrics)
        assert (first.start, first.span, first.count) == (hour, HOUR, 3)
        assert first.outcomes == {AttemptOutcome.COMPLETED: 2, AttemptOutcome.FAILED: 1}
        assert (second.start, second.span, second.count) == (hour + HOUR + MINUTE, MINUTE, 1)
        assert await metrics.roll_up(timedelta(minutes=1), None) == 0

    async def test_a_minute_of_an_hour_that_is_added_up_joins_it(
        self, workshop: Workshop, metrics: MetricsStore
    ) -> None:
        # At the beginning of an hour, so that it is one for both.
        workshop.clock.advance(begin_of(workshop.clock.now(), HOUR) + HOUR - workshop.clock.now())
        await workshop.finished("a")
        workshop.clock.advance("1 minute")
        await workshop.finished("b")
        workshop.clock.advance("2 hours")
        assert await metrics.roll_up(MINUTE, None, limit=1) == 1
        assert sorted((one.span or HOUR, one.count) for one in await spans(metrics)) == [(MINUTE, 1), (HOUR, 1)]
        assert await metrics.roll_up(MINUTE, None, limit=1) == 1
        assert [(one.span, one.count) for one in await spans(metrics)] == [(HOUR, 2)]
        assert await metrics.roll_up(MINUTE, None, limit=1) == 0

    async def test_what_is_younger_is_not_added_up(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.finished("a")
        end = begin_of(workshop.clock.now(), HOUR) + HOUR
        workshop.clock.advance(end - workshop.clock.now() + timedelta(hours=2) - timedelta(microseconds=1))
        assert await metrics.roll_up(timedelta(hours=2), timedelta(hours=2)) == 0
        workshop.clock.advance(timedelta(microseconds=1))
        assert await metrics.roll_up(timedelta(hours=2), None) == 1

    async def test_old_hours_are_added_up_to_one_sum(self, workshop: Workshop, metrics: MetricsStore) -> None:
        for number in range(3):
            job = await workshop.fetched(f"job-{number}")
            await workshop.settle(evolve(ending(lock_of(job), Command.COMPLETE), wait_seconds=0.5, run_seconds=0.25))
            workshop.clock.advance("1 hour")
        before = (await metrics.get_metrics(None)).total()
        workshop.clock.advance("1 hour")
        while await metrics.roll_up(MINUTE, timedelta(hours=1)):
            pass
        (counted,) = await spans(metrics)
        assert (counted.start, counted.span) == (None, None)
        after = (await metrics.get_metrics(None)).total()
        assert (after.outcomes, after.waits, after.runs) == (before.outcomes, before.waits, before.runs)
        assert await spans(metrics, timedelta(days=1000)) == []

    async def test_what_is_to_be_kept_for_ever_is(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.finished("a")
        workshop.clock.advance("3000 days")
        assert await metrics.roll_up(None, MINUTE) == 0
        assert [one.span for one in await spans(metrics)] == [MINUTE]

    async def test_depths_tell_how_many_are_in_each_state(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.fetched("active")
        oldest_at = workshop.clock.advance(1)
        await workshop.add("a", "b")
        workshop.clock.advance(1)
        await workshop.add("c")
        await workshop.add("later", delay=10)
        await workshop.finished_elsewhere("done", queue="emails")
        emails, orders = (await metrics.get_metrics(MINUTE)).depths
        assert (emails.queue_name, emails.counts, emails.oldest_waiting_at) == ("emails", NOTHING, None)
        assert orders.queue_name == QUEUE
        assert orders.counts == NOTHING | {JobState.WAITING: 3, JobState.DELAYED: 1, JobState.ACTIVE: 1}
        assert orders.oldest_waiting_at == oldest_at

    async def test_depths_are_those_of_the_queues_named(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.add("a")
        await workshop.add("b", queue="emails")
        report = await metrics.get_metrics(MINUTE, queue_names=["emails", "nowhere"])
        assert [depth.queue_name for depth in report.depths] == ["emails"]

    async def test_an_obliterated_queue_takes_its_counts_along(self, workshop: Workshop, metrics: MetricsStore) -> None:
        await workshop.finished("a")
        await workshop.finished_elsewhere("b", queue="emails")
        await workshop.queues.obliterate(QUEUE)
        assert [one.queue_name for one in await spans(metrics)] == ["emails"]

    async def test_what_a_transaction_settles_is_counted_with_it(
        self, workshop: Workshop, metrics: MetricsStore
    ) -> None:
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        assert workshop.store.transactions is not None
        job, other = await workshop.fetched("a"), await workshop.fetched("b")
        transaction = await workshop.store.transactions.begin(lock_of(job), timedelta(seconds=10))
        await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        transaction = await workshop.store.transactions.begin(lock_of(other), timedelta(seconds=10))
        await transaction.roll_back()
        assert await outcomes(metrics) == {AttemptOutcome.COMPLETED: 1}
        # The worker settles it once more, as every run.
        await workshop.finish(job)
        assert await outcomes(metrics) == {AttemptOutcome.COMPLETED: 1}
