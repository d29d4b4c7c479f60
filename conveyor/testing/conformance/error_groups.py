"""Error groups: failed jobs that failed alike, counted and found together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.bulk import ChangeOutcome
from conveyor.model.error_groups import ErrorGroup, ErrorGroupFilter
from conveyor.model.job import ErrorInfo
from conveyor.model.queries import JobFilter
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.flow_bench import bench_of
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, NAME, QUEUE, Workshop, ending, lock_of

if TYPE_CHECKING:
    from conveyor.contracts.store import InspectionStore

__all__ = ["ErrorGroupsConformance"]

ALL: Final = ErrorGroupFilter()
SMALL: Final = "aaaaaaaaaaaaaaaa"
HEAVY: Final = "bbbbbbbbbbbbbbbb"


async def fail(
    workshop: Workshop, job_id: str, group: str, *, queue: str = QUEUE, name: str = NAME, message: str = "too small"
) -> None:
    """Add a job, which is the only one to be fetched of its queue, and let it fail by an error of this group."""
    await workshop.add(job_id, queue=queue, name=name)
    job = await (await workshop.hand()).fetch_one(queue=queue)
    error = ErrorInfo("ValueError", message, "Traceback: none", group)
    assert await workshop.settle(ending(lock_of(job), Command.FAIL, queue=queue, error=error)) == []


class ErrorGroupsConformance(StoreKit):
    """Failed jobs by the fingerprints of their errors."""

    @pytest.fixture
    def groups(self, workshop: Workshop) -> InspectionStore:
        """The facet, where the store groups failed jobs."""
        needs(workshop.store.capabilities.has_error_groups, "has_error_groups")
        assert workshop.store.inspection is not None
        return workshop.store.inspection

    async def test_failures_alike_are_one_group_with_the_last_of_them(
        self, workshop: Workshop, groups: InspectionStore
    ) -> None:
        first_at = workshop.clock.now()
        await fail(workshop, "c", SMALL, message="box 1 was too small")
        last_at = workshop.clock.advance("1 minute")
        await fail(workshop, "b", SMALL, message="box 2 was too small")
        await fail(workshop, "a", SMALL, message="box 3 was too small")
        page = await groups.list_error_groups(ALL)
        assert list(page.groups) == [
            ErrorGroup(SMALL, QUEUE, NAME, "ValueError", "box 3 was too small", 3, first_at, last_at, "a")
        ]
        assert page.next_cursor is None

    async def test_groups_are_paged_those_that_failed_last_first(
        self, workshop: Workshop, groups: InspectionStore
    ) -> None:
        for number in range(5):
            workshop.clock.advance(1)
            await fail(workshop, f"job-{number}", f"group-{number % 3}")
        assert [(one.id, one.count) for one in (await groups.list_error_groups(ALL)).groups] == [
            ("group-1", 2),
            ("group-0", 2),
            ("group-2", 1),
        ]
        page = await groups.list_error_groups(ALL, limit=2)
        assert [group.id for group in page.groups] == ["group-1", "group-0"]
        page = await groups.list_error_groups(ALL, cursor=page.next_cursor, limit=2)
        assert ([group.id for group in page.groups], page.next_cursor) == (["group-2"], None)

    async def test_groups_that_failed_at_one_time_are_all_on_a_page(
        self, workshop: Workshop, groups: InspectionStore
    ) -> None:
        for number in range(5):
            await fail(workshop, f"job-{number}", f"group-{number}")
        found: list[str] = []
        cursor: str | None = None
        for _ in range(3):
            page = await groups.list_error_groups(ALL, cursor=cursor, limit=2)
            found += [group.id for group in page.groups]
            cursor = page.next_cursor
        assert found == [f"group-{number}" for number in (4, 3, 2, 1, 0)]
        assert cursor is None

    @pytest.mark.parametrize("cursor", ["", "yesterday", "x-group"])
    async def test_a_cursor_that_is_none_is_refused(self, groups: InspectionStore, cursor: str) -> None:
        with pytest.raises(ConfigurationError, match="cursor="):
            await groups.list_error_groups(ALL, cursor=cursor)

    async def test_groups_are_found_by_queue_name_and_id(self, workshop: Workshop, groups: InspectionStore) -> None:
        await fail(workshop, "a", SMALL)
        await fail(workshop, "b", HEAVY, queue="emails", name="send")

        async def found(wanted: ErrorGroupFilter) -> list[str]:
            return [group.id for group in (await groups.list_error_groups(wanted)).groups]

        assert await found(ErrorGroupFilter(queue_names=("emails", "nowhere"))) == [HEAVY]
        assert await found(ErrorGroupFilter(names=(NAME,))) == [SMALL]
        assert await found(ErrorGroupFilter(ids=(SMALL, "none"))) == [SMALL]
        assert await found(ErrorGroupFilter(names=(NAME,), ids=(HEAVY,))) == []

    async def test_a_job_leaves_its_group_when_it_is_failed_no_more(
        self, workshop: Workshop, groups: InspectionStore
    ) -> None:
        for job_id in ("rerun", "removed", "fixed", "stays"):
            await fail(workshop, job_id, SMALL)
        await workshop.jobs.rerun_job("rerun")
        await workshop.jobs.cancel_job("rerun", "no more")
        await workshop.jobs.remove_job("removed")
        await workshop.jobs.rerun_job("fixed")
        await workshop.finish(await (await workshop.hand()).fetch_one())
        (group,) = (await groups.list_error_groups(ALL)).groups
        assert (group.count, group.example_id) == (1, "stays")

    async def test_failed_jobs_without_a_fingerprint_are_in_no_group(
        self, workshop: Workshop, groups: InspectionStore
    ) -> None:
        await fail(workshop, "a", "")
        assert list((await groups.list_error_groups(ALL)).groups) == []

    async def test_what_asks_to_be_tried_again_is_in_no_group(
        self, workshop: Workshop, groups: InspectionStore
    ) -> None:
        job = await workshop.fetched("a", attempts=5)
        error = ErrorInfo("ValueError", "", "", SMALL)
        await workshop.settle(ending(lock_of(job), Command.RETRY, error=error))
        assert list((await groups.list_error_groups(ALL)).groups) == []
        assert await groups.count_matching(JobFilter(error_group=SMALL)) == 0

    async def test_the_jobs_of_a_group_are_found_and_changed(self, workshop: Workshop, groups: InspectionStore) -> None:
        for job_id, group in (("a", SMALL), ("b", HEAVY), ("c", SMALL)):
            await fail(workshop, job_id, group)
        wanted = JobFilter(error_group=SMALL)
        assert [job.id for job in (await groups.search_jobs(wanted)).jobs] == ["c", "a"]
        assert await groups.count_matching(wanted) == 2
        receipts = await groups.change_jobs(Command.RERUN, ["a", "b", "c"], wanted)
        done, other = ChangeOutcome.DONE, ChangeOutcome.NO_MATCH
        assert [receipt.outcome for receipt in receipts] == [done, other, done]

    async def test_what_the_store_fails_by_itself_is_grouped(self, workshop: Workshop, groups: InspectionStore) -> None:
        for job_id in ("stalls", "stalls too"):
            await workshop.fetched(job_id)
        workshop.clock.advance(LOCK)
        await workshop.jobs.reclaim_stalled_jobs(0)
        workshop.clock.advance(1)
        await workshop.add("by hand")
        await workshop.jobs.move_to_failed("by hand", "not needed")
        workshop.clock.advance(1)
        job = await workshop.fetched("discarded", attempts=2)
        await workshop.jobs.discard("discarded")
        await workshop.settle(ending(lock_of(job), Command.RETRY))
        found = (await groups.list_error_groups(ALL)).groups
        assert [(group.error_type, group.count, group.id) for group in found] == [
            ("ValueError", 1, "4507cdd01921c60b"),
            ("MovedToFailed", 1, "dab4f8a3eb7a6056"),
            ("Stalled", 2, "940f50a4e7b643cf"),
        ]

    async def test_parents_that_fail_by_a_child_are_grouped(self, workshop: Workshop, groups: InspectionStore) -> None:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        for number in (1, 2):
            await bench.add(bench.flow(f"whole-{number}", bench.part(f"part-{number}")))
            await workshop.jobs.move_to_failed(f"part-{number}", "")
            assert await workshop.state(f"whole-{number}") is JobState.FAILED
        await bench.add(bench.flow("whole", bench.part("part")))
        await workshop.jobs.remove_job("part")
        found = {(group.error_type, group.count, group.id) for group in (await groups.list_error_groups(ALL)).groups}
        assert found == {
            ("MovedToFailed", 2, "4fc348560955dba7"),
            ("ChildFailed", 2, "ce91a32be2542da9"),
            ("ChildFailed", 1, "c7782ab2d7fb3b7a"),
        }
