"""Events: what happens is recorded while somebody watches, in order, once, and with what it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor.model.events import EventKind
from conveyor.model.job import Progress, ProgressReport
from conveyor.model.outcomes import Failed
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import Command
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.flow_bench import bench_of
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import BROKEN, LOCK, NAME, QUEUE, Workshop, ending, lock_of, stranger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.store import EventStore
    from conveyor.model.events import EventRecord
    from conveyor.testing.conformance.kit import OpenWorkshop

__all__ = ["EventsConformance"]

WATCH: Final = timedelta(seconds=60)


class Reading:
    """One who watches a queue and reads on from where he stands."""

    def __init__(self, events: EventStore, queue_name: str, cursor: str) -> None:
        self._events = events
        self._queue_name = queue_name
        self._cursor = cursor

    @classmethod
    async def begun(cls, events: EventStore, queue_name: str = QUEUE, watcher_id: str = "watcher") -> Reading:
        """Watch a queue from now on."""
        watch = await events.watch_events(watcher_id, queue_name, WATCH)
        assert watch.is_new
        return cls(events, queue_name, watch.cursor)

    async def page(self, limit: int = 1000) -> Sequence[EventRecord]:
        """Return the next events, of which none was lost."""
        page = await self._events.read_events(self._queue_name, self._cursor, limit=limit)
        assert page.lost_count == 0
        self._cursor = page.cursor
        return page.events

    async def kinds(self) -> list[str]:
        """Return what the next events are."""
        return [str(event.kind) for event in await self.page()]


class EventsConformance(StoreKit):
    """What watchers of a queue read of it."""

    @pytest.fixture
    def events(self, workshop: Workshop) -> EventStore:
        """The facet under test."""
        needs(workshop.store.capabilities.has_events, "has_events")
        assert workshop.store.events is not None, "a store that declares has_events=True must have events"
        return workshop.store.events

    async def test_what_happened_before_is_not_read(self, workshop: Workshop, events: EventStore) -> None:
        await workshop.finished("before")
        reading = await Reading.begun(events)
        assert await reading.kinds() == []
        await workshop.add("a")
        assert [(event.kind, event.job_id) for event in await reading.page()] == [(EventKind.ADDED, "a")]

    async def test_a_run_is_read_from_its_add_to_its_result(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        job = await workshop.fetched("a")
        await workshop.jobs.set_progress([ProgressReport(lock_of(job), Progress(1, 2, "half"))])
        await workshop.settle(ending(lock_of(job), Command.COMPLETE, result=b'"ok"'))
        found = await reading.page()
        assert [event.kind for event in found] == ["added", "active", "progress", "completed"]
        assert {(event.queue_name, event.job_id, event.job_name) for event in found} == {(QUEUE, "a", NAME)}
        assert found[2].progress == Progress(1, 2, "half")
        assert found[3].result == b'"ok"'
        assert await reading.kinds() == []

    @pytest.mark.parametrize(
        ("command", "kind"),
        [
            (Command.COMPLETE, "completed"),
            (Command.FAIL, "failed"),
            (Command.STOP, "cancelled"),
            (Command.RETRY, "retried"),
            (Command.DELAY, "retried"),
            (Command.RECLAIM, "stalled"),
            (Command.GIVE_UP, "failed"),
        ],
    )
    async def test_each_end_of_a_run_has_a_name(
        self, workshop: Workshop, events: EventStore, command: Command, kind: str
    ) -> None:
        job = await workshop.fetched("a")
        reading = await Reading.begun(events)
        await workshop.finish(job, command)
        [event] = await reading.page()
        assert event.kind == kind
        has_error = kind in ("failed", "cancelled", "retried")
        assert event.error == (BROKEN if has_error else None)

    async def test_a_snooze_is_read_as_a_delay(self, workshop: Workshop, events: EventStore) -> None:
        job = await workshop.fetched("a")
        reading = await Reading.begun(events)
        await workshop.settle(ending(lock_of(job), Command.DELAY, is_snoozed=True))
        assert await reading.kinds() == ["delayed"]

    async def test_a_job_that_goes_as_it_ends_is_read_to_its_end(self, workshop: Workshop, events: EventStore) -> None:
        job = await workshop.fetched("a")
        reading = await Reading.begun(events)
        await workshop.settle(ending(lock_of(job), Command.COMPLETE, result=b"7", is_removed=True))
        assert [(event.kind, event.result) for event in await reading.page()] == [
            ("completed", b"7"),
            ("removed", None),
        ]

    async def test_what_operators_do_to_a_waiting_job_is_read(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        await workshop.add("a", delay=10)
        await workshop.jobs.promote_job("a")
        await workshop.jobs.move_to_delayed("a", workshop.clock.now() + WATCH)
        await workshop.queues.promote_jobs(QUEUE)
        await workshop.jobs.change_priority("a", 3)
        await workshop.jobs.cancel_job("a", "enough")
        await workshop.jobs.rerun_job("a")
        await workshop.jobs.move_to_failed("a", "again")
        await workshop.jobs.remove_job("a")
        found = await reading.page()
        assert [event.kind for event in found] == [
            "added",
            "promoted",
            "delayed",
            "promoted",
            "cancelled",
            "rerun",
            "failed",
            "removed",
        ]
        assert found[4].error is not None
        assert found[4].error.message == "enough"

    async def test_a_job_that_is_due_is_read_as_promoted(self, workshop: Workshop, events: EventStore) -> None:
        await workshop.add("a", delay=10)
        reading = await Reading.begun(events)
        workshop.clock.advance(timedelta(seconds=11))
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await reading.kinds() == ["promoted"]

    async def test_a_run_that_is_handed_back_or_stopped_by_force_is_read(
        self, workshop: Workshop, events: EventStore
    ) -> None:
        job = await workshop.fetched("a")
        reading = await Reading.begun(events)
        await workshop.jobs.release_locks([lock_of(job)])
        await (await workshop.hand()).fetch_one()
        await workshop.jobs.move_to_delayed("a", workshop.clock.now())
        await workshop.jobs.promote_job("a")
        await (await workshop.hand()).fetch_one()
        await workshop.jobs.cancel_job("a", "enough")
        assert await reading.kinds() == ["released", "active", "delayed", "promoted", "active", "cancelled"]

    async def test_a_stall_is_read(self, workshop: Workshop, events: EventStore) -> None:
        await workshop.fetched("a")
        reading = await Reading.begun(events)
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(1)
        await (await workshop.hand()).fetch_suspect()
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(1)
        assert await reading.kinds() == ["stalled", "active", "failed"]

    async def test_what_is_refused_or_repeated_is_not_read(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        job = await workshop.fetched("a")
        await workshop.settle(ending(stranger("a"), Command.COMPLETE))
        done = ending(lock_of(job), Command.COMPLETE)
        await workshop.settle(done)
        await workshop.settle(done)
        await workshop.jobs.save_jobs([workshop.new("a")])
        await workshop.jobs.set_progress([ProgressReport(lock_of(job), Progress(1))])
        assert await reading.kinds() == ["added", "active", "completed"]

    async def test_queues_that_are_paused_resumed_and_drained_are_read(
        self, workshop: Workshop, events: EventStore
    ) -> None:
        await workshop.add("a", "b")
        reading = await Reading.begun(events)
        for _ in range(2):
            await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
        await workshop.queues.pause_job_name(QUEUE, NAME)
        for _ in range(2):
            await workshop.queues.resume_job_name(QUEUE, ALL_NAMES)
        await workshop.queues.drain(QUEUE)
        found = await reading.page()
        assert [(event.kind, event.job_name) for event in found if not event.job_id] == [
            ("paused", ""),
            ("paused", NAME),
            ("resumed", ""),
            ("drained", ""),
        ]
        assert sorted(event.job_id for event in found if event.kind is EventKind.REMOVED) == ["a", "b"]
        assert (found[-1].kind, found[-1].count) == ("drained", 2)

    async def test_other_queues_are_not_read(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        await workshop.add("x", queue="elsewhere")
        await workshop.add("a")
        assert [event.job_id for event in await reading.page()] == ["a"]

    async def test_a_watcher_of_all_queues_reads_of_those_to_come(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events, "")
        await workshop.add("x", queue="elsewhere")
        await workshop.add("a")
        assert [event.queue_name for event in await reading.page()] == ["elsewhere", QUEUE]

    async def test_pages_follow_one_another_without_gaps(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        await workshop.add("a", "b", "c")
        await workshop.add("d")
        found: list[str] = []
        # Pages that go back would have no end.
        while len(found) <= 4 and (page := await reading.page(limit=1)):
            found += [event.job_id for event in page]
        assert found == ["a", "b", "c", "d"]
        await workshop.add("e")
        assert [event.job_id for event in await reading.page(limit=1)] == ["e"]

    async def test_each_watcher_reads_everything(self, workshop: Workshop, events: EventStore) -> None:
        first = await Reading.begun(events)
        await workshop.add("a")
        second = await Reading.begun(events, watcher_id="second")
        await workshop.add("b")
        assert await first.kinds() == ["added", "added"]
        assert await second.kinds() == ["added"]

    async def test_what_happens_while_nobody_watches_is_never_read(
        self, workshop: Workshop, events: EventStore
    ) -> None:
        reading = await Reading.begun(events)
        await events.unwatch_events("watcher")
        await events.unwatch_events("watcher")
        await workshop.add("a")
        assert await reading.kinds() == []

    async def test_a_watcher_that_renews_goes_on(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        workshop.clock.advance(WATCH * 0.9)
        assert not (await events.watch_events("watcher", QUEUE, WATCH)).is_new
        workshop.clock.advance(WATCH * 0.9)
        await events.prune_events()
        await workshop.add("a")
        assert await reading.kinds() == ["added"]

    async def test_a_watcher_that_went_without_a_word_costs_nothing_in_the_end(
        self, workshop: Workshop, events: EventStore
    ) -> None:
        await Reading.begun(events)
        await workshop.add("a")
        workshop.clock.advance(WATCH * 2)
        assert await events.prune_events() == 1
        await workshop.add("b")
        assert await events.prune_events() == 0
        reading = await Reading.begun(events)
        await workshop.add("c")
        assert [event.job_id for event in await reading.page()] == ["c"]

    async def test_what_was_written_just_now_is_not_pruned(self, workshop: Workshop, events: EventStore) -> None:
        reading = await Reading.begun(events)
        await workshop.add("a")
        assert await events.prune_events() == 0
        assert await reading.kinds() == ["added"]

    async def test_parents_that_go_on_are_read(self, workshop: Workshop, events: EventStore) -> None:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        reading = await Reading.begun(events, "")
        await bench.add_pair()
        await bench.run()
        found = [(event.job_id, str(event.kind)) for event in await reading.page()]
        assert [kind for job_id, kind in found if job_id == "top"] == ["added", "children_done"]
        assert [kind for job_id, kind in found if job_id == "part"] == ["added", "active", "completed"]

    async def test_parents_that_fail_by_a_child_are_read(self, workshop: Workshop, events: EventStore) -> None:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        await bench.add_pair()
        reading = await Reading.begun(events)
        await bench.run(Failed(ValueError("too small"), retry=False))
        assert await reading.kinds() == ["failed"]

    async def test_events_of_another_opening_are_read(
        self, workshop: Workshop, events: EventStore, open_workshop: OpenWorkshop
    ) -> None:
        needs(workshop.store.capabilities.is_shared, "is_shared")
        async with open_workshop() as other:
            reading = await Reading.begun(events)
            await other.add("a")
            assert await reading.kinds() == ["added"]

    async def test_what_a_transaction_does_is_read_once_it_commits(
        self, workshop: Workshop, events: EventStore
    ) -> None:
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        books = await Books.opened(workshop)
        job = await workshop.fetched("a")
        reading = await Reading.begun(events)
        async with books.begun(lock_of(job)) as transaction:
            await workshop.jobs.save_jobs_in(transaction.connection, [workshop.new("b")])
            assert await reading.kinds() == []
            await transaction.commit(ending(lock_of(job), Command.COMPLETE))
        assert sorted(await reading.kinds()) == ["added", "completed"]

    async def test_what_a_transaction_takes_back_is_never_read(self, workshop: Workshop, events: EventStore) -> None:
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        books = await Books.opened(workshop)
        job = await workshop.fetched("a")
        reading = await Reading.begun(events)
        async with books.begun(lock_of(job)) as transaction:
            await workshop.jobs.save_jobs_in(transaction.connection, [workshop.new("b")])
            await transaction.roll_back()
        await workshop.add("c")
        assert [event.job_id for event in await reading.page()] == ["c"]
