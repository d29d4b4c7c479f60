"""Inspection: looking around for operators."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor.model.queries import ALL_NAMES, JobFilter, QueueInfo, matches
from conveyor.model.states import Command, JobState
from conveyor.testing.clocks import DEFAULT_START
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Workshop

if TYPE_CHECKING:
    from conveyor.contracts.store import InspectionStore

__all__ = ["InspectionConformance"]

LATER: Final = DEFAULT_START.replace(minute=1)

FILTERS: Final = {
    "everything": JobFilter(),
    "one-queue": JobFilter(queue_names=("orders",)),
    "two-queues": JobFilter(queue_names=("orders", "emails")),
    "no-such-queue": JobFilter(queue_names=("nowhere",)),
    "one-name": JobFilter(names=("pack",)),
    "two-names": JobFilter(names=("pack", "100%")),
    "one-state": JobFilter(states=(JobState.COMPLETED,)),
    "two-states": JobFilter(states=(JobState.WAITING, JobState.DELAYED)),
    "one-tag": JobFilter(tags=("red",)),
    "two-tags": JobFilter(tags=("red", "blue")),
    "part-of-a-tag": JobFilter(tags=("re",)),
    "text-in-a-name": JobFilter(text="ack"),
    "text-in-an-id": JobFilter(text="job-3"),
    "text-in-a-payload": JobFilter(text="customer"),
    "text-in-other-case": JobFilter(text="CUSTOMER"),
    "text-with-a-percent": JobFilter(text="0%"),
    "text-with-an-underscore": JobFilter(text="b_3"),
    "text-with-a-backslash": JobFilter(text="\\"),
    "text-of-unicode": JobFilter(text="zoë"),
    "text-of-unicode-in-other-case": JobFilter(text="ZOË"),
    "text-of-a-star": JobFilter(text="*"),
    "text-nowhere": JobFilter(text="nowhere"),
    "created-from": JobFilter(created_from=LATER),
    "created-to": JobFilter(created_to=LATER),
    "created-between": JobFilter(created_from=DEFAULT_START, created_to=LATER),
    "finished-from": JobFilter(finished_from=LATER),
    "finished-to": JobFilter(finished_to=LATER),
    "finished-between": JobFilter(finished_from=DEFAULT_START, finished_to=LATER),
    "an-error-by-type": JobFilter(error="valueerror"),
    "an-error-by-message": JobFilter(error="too small"),
    "an-error-by-traceback": JobFilter(error="this is a test"),
    "an-error-with-a-percent": JobFilter(error="%"),
    "one-attempt": JobFilter(min_attempts=1),
    "two-attempts": JobFilter(min_attempts=2),
    "an-error-group-that-is-none": JobFilter(error_group="none"),
    "an-error-in-a-state": JobFilter(states=(JobState.FAILED,), error="ValueError", min_attempts=1),
    "all-at-once": JobFilter(("orders",), ("pack",), (JobState.WAITING,), ("red",), "job", DEFAULT_START, LATER),
}


async def fill(workshop: Workshop) -> list[str]:
    """Add jobs that the filters tell apart, and return all ids from the highest down."""
    await workshop.finished("job-1")
    await workshop.finished("job-2", Command.FAIL)
    rows = [
        workshop.new("job-3", payload=b'{"customer": 7}', tags=["red"]),
        workshop.new("job-4", payload='{"name": "Zoë"}'.encode(), tags=["red", "blue"]),
        workshop.new("job-5", name="100%", delay=10),
        workshop.new("JOB-6", name="back\\slash", queue="emails", tags=["blue"]),
        workshop.new("jöb_3", queue="emails", payload=b'"a*b_3"'),
    ]
    await workshop.jobs.save_jobs(rows)
    workshop.clock.advance("1 minute")
    await workshop.add("later", name="pack", tags=["reddish"])
    await workshop.jobs.cancel_job("job-5", "not needed, 100%")
    ids = ["job-1", "job-2", "later", *(row.id for row in rows)]
    return sorted(ids, reverse=True)


class InspectionConformance(StoreKit):
    """What an operator sees, over all queues."""

    @pytest.fixture
    def inspection(self, workshop: Workshop) -> InspectionStore:
        """The facet, where the store has it."""
        needs(workshop.store.capabilities.has_inspection, "has_inspection")
        assert workshop.store.inspection is not None
        return workshop.store.inspection

    @pytest.mark.parametrize("case", FILTERS)
    async def test_a_search_finds_what_the_model_says_matches(
        self, workshop: Workshop, inspection: InspectionStore, case: str
    ) -> None:
        wanted = FILTERS[case]
        ids = await fill(workshop)
        jobs = await workshop.jobs.find_jobs(ids)
        expected = [jobs[job_id] for job_id in ids if matches(jobs[job_id], wanted)]
        page = await inspection.search_jobs(wanted)
        assert list(page.jobs) == expected
        assert (page.next_cursor, page.at) == (None, workshop.clock.now())
        assert await inspection.count_matching(wanted) == len(expected)

    async def test_a_search_is_paged_without_gaps(self, workshop: Workshop, inspection: InspectionStore) -> None:
        ids = [f"{number:03}" for number in range(7)]
        await workshop.add(*ids)
        found: list[str] = []
        cursor: str | None = None
        for _ in range(4):
            page = await inspection.search_jobs(JobFilter(), cursor=cursor, limit=2)
            found += [job.id for job in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == ids[::-1]
        assert cursor is None

    async def test_the_oldest_come_first_where_that_is_asked_for(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        await workshop.add("a", "b", "é", "Z")
        await workshop.add("other", queue="emails")
        wanted, cursor, found = JobFilter(queue_names=(QUEUE,)), None, list[str]()
        for _ in range(2):
            page = await inspection.search_jobs(wanted, cursor=cursor, limit=2, oldest_first=True)
            found += [job.id for job in page.jobs]
            cursor = page.next_cursor
        assert (found, cursor) == (["Z", "a", "b", "é"], None)
        await workshop.add("A")
        page = await inspection.search_jobs(wanted, cursor="Z", limit=1, oldest_first=True)
        assert [job.id for job in page.jobs] == ["a"]

    async def test_a_page_goes_on_where_it_ended_whatever_is_added(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        await workshop.add("a", "b", "c", "d")
        page = await inspection.search_jobs(JobFilter(), limit=2)
        await workshop.add("e")
        await workshop.jobs.remove_job("c")
        page = await inspection.search_jobs(JobFilter(), cursor=page.next_cursor, limit=2)
        assert [job.id for job in page.jobs] == ["b", "a"]

    async def test_a_page_begins_below_any_cursor(self, workshop: Workshop, inspection: InspectionStore) -> None:
        await workshop.add("a", "ab", "b", "é", "Z")
        page = await inspection.search_jobs(JobFilter(), cursor="a\U0010ffff")
        assert [job.id for job in page.jobs] == ["ab", "a", "Z"]
        page = await inspection.search_jobs(JobFilter(), cursor="\U0010ffff")
        assert [job.id for job in page.jobs] == ["é", "b", "ab", "a", "Z"]

    async def test_a_count_stops_at_its_cap(self, workshop: Workshop, inspection: InspectionStore) -> None:
        await workshop.add("a", "b", "c")
        assert await inspection.count_matching(JobFilter(), cap=2) == 2
        assert await inspection.count_matching(JobFilter(), cap=3) == 3

    async def test_queues_are_listed_by_name(self, workshop: Workshop, inspection: InspectionStore) -> None:
        await workshop.add("x", queue="zebra")
        oldest_at = workshop.clock.advance(1)
        await workshop.add("a")
        workshop.clock.advance(1)
        await workshop.add("b")
        await workshop.queues.pause_job_name("apple", ALL_NAMES)
        apple, orders, zebra = await inspection.list_queues()
        none = dict.fromkeys(JobState, 0)
        assert apple == QueueInfo("apple", none, frozenset({ALL_NAMES}))
        assert orders == QueueInfo(QUEUE, none | {JobState.WAITING: 2}, frozenset(), oldest_at)
        assert (zebra.name, apple.is_paused, zebra.is_paused) == ("zebra", True, False)

    async def test_a_queue_outlives_its_jobs(self, workshop: Workshop, inspection: InspectionStore) -> None:
        await workshop.add("a")
        await workshop.jobs.remove_job("a")
        (info,) = await inspection.list_queues()
        assert info == QueueInfo(QUEUE, dict.fromkeys(JobState, 0), frozenset())

    async def test_stats_count_what_settled_in_the_time_before(
        self, workshop: Workshop, inspection: InspectionStore
    ) -> None:
        await workshop.finished("old")
        workshop.clock.advance("2 minutes")
        await workshop.finished("a")
        await workshop.finished("b", Command.FAIL)
        await workshop.add("c", queue="emails")
        await workshop.jobs.cancel_job("c", "")
        await workshop.add("waits")
        stats = await inspection.get_stats(timedelta(minutes=1))
        assert stats.settled == {JobState.COMPLETED: 1, JobState.FAILED: 1, JobState.CANCELLED: 1}
        assert (await inspection.get_stats(timedelta(minutes=2))).settled[JobState.COMPLETED] == 2
        assert stats.size_bytes is None or stats.size_bytes > 0

    async def test_a_new_store_has_no_queues(self, inspection: InspectionStore) -> None:
        assert list(await inspection.list_queues()) == []
