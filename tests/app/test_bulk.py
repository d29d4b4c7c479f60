"""Bulk commands on a filter: in chunks, of what was there when they began, and with a report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from conveyor import Conveyor, JobFilter, JobState, fixed
from conveyor._services.bulk import CHUNK
from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.bulk import BulkReport, ChangeOutcome, Skipped
from conveyor.model.queries import Page
from conveyor.model.states import Command
from conveyor.testing.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Job

pytestmark = pytest.mark.anyio

WAITING = JobFilter(states=(JobState.WAITING,))


async def add(app: Conveyor, count: int, queue: str = "work", **options: object) -> Sequence[Job[None]]:
    @app.queue(queue).job(name=f"note_{queue}_{len(options)}")
    async def note(number: int) -> None: ...

    handler = note.options(**options)  # type: ignore[arg-type] # whatever options a test wants
    return await handler.add_many([handler.new(number) for number in range(count)])


async def test_a_bulk_command_changes_what_matches_and_reports(app: Conveyor) -> None:
    async with app:
        await add(app, 3)
        await add(app, 2, "other")
        report = await app.jobs.cancel(JobFilter(queue_names=("work",)), reason="no more")
        assert report == BulkReport(Command.CANCEL, matched=3, done=3)
        found = await app.jobs.find(JobFilter(states=(JobState.CANCELLED,)))
        assert [(job.queue_name, str(job.data.error)) for job in found.jobs] == [("work", "Cancelled: no more")] * 3
        assert await app.jobs.count(WAITING) == 2


async def test_a_bulk_command_goes_on_through_all_chunks_and_tells_how_far_it_is(app: Conveyor) -> None:
    seen: list[BulkReport] = []
    async with app:
        await add(app, 2 * CHUNK + 1)
        report = await app.jobs.remove(JobFilter(), progress=seen.append)
        assert [one.done for one in seen] == [CHUNK, 2 * CHUNK, 2 * CHUNK + 1]
        assert report == seen[-1]
        assert await app.jobs.count() == 0


async def test_each_command_means_the_states_it_fits_where_none_is_named(app: Conveyor) -> None:
    async with app:
        await add(app, 2)
        await add(app, 3, delay=60)
        assert (await app.jobs.promote(JobFilter())).matched == 3
        assert (await app.jobs.rerun(JobFilter())).matched == 0
        assert (await app.jobs.cancel(JobFilter())).done == 5
        assert (await app.jobs.rerun(JobFilter())).done == 5
        assert (await app.jobs.remove(JobFilter())).done == 5


async def test_what_does_not_fit_a_named_state_is_skipped_with_its_reason(app: Conveyor) -> None:
    async with app:
        jobs = await add(app, 7)
        report = await app.jobs.promote(WAITING)
    newest = tuple(sorted((job.id for job in jobs), reverse=True)[:5])
    skipped = Skipped(ChangeOutcome.REFUSED, JobState.WAITING, 7, newest)
    assert report == BulkReport(Command.PROMOTE, matched=7, done=0, skipped=(skipped,))


class Intruding:
    """The inspection facet of a store to which somebody adds a job after each page."""

    def __init__(self, app: Conveyor, clock: ManualClock) -> None:
        self._app, self._clock = app, clock
        self._inspection = app._services.inspection("this test")
        self.change_jobs = self._inspection.change_jobs
        self.added = 0

    async def search_jobs(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        page = await self._inspection.search_jobs(wanted, cursor=cursor, limit=limit, oldest_first=oldest_first)
        self._clock.advance(1)
        self.added += 1
        # It sorts below all the others, where the next page begins.
        await self._app.queue("work").add("note", {}, job_id=f"a{self.added}")
        return page


async def test_what_is_added_after_a_bulk_command_began_is_left_alone(store_url: str) -> None:
    clock = ManualClock()
    async with Conveyor(store_url, clock=clock) as app:
        for number in range(CHUNK + 1):
            await app.queue("work").add("note", {}, job_id=f"m{number:04}")
        intruding = Intruding(app, clock)
        app._services.store.inspection = intruding  # type: ignore[misc,assignment] # as a busy store would be
        report = await app.jobs.cancel(JobFilter())
        assert report == BulkReport(Command.CANCEL, matched=CHUNK + 1, done=CHUNK + 1)
        assert intruding.added == 2
        assert await app.queue("work").count("waiting") == 2


async def test_a_job_that_moved_on_since_it_was_found_is_skipped(app: Conveyor) -> None:
    async with app:
        await add(app, CHUNK + 1)
        oldest = (await app.queue("work").jobs("waiting"))[0]
        inspection = app._services.inspection("this test")
        page = await inspection.search_jobs(WAITING, limit=CHUNK + 1)
        await oldest.cancel()
        receipts = await inspection.change_jobs(Command.CANCEL, [job.id for job in page.jobs], WAITING)
        assert [receipt.outcome for receipt in receipts].count(ChangeOutcome.DONE) == CHUNK
        assert receipts[-1].outcome is ChangeOutcome.NO_MATCH


async def test_a_bulk_cancel_beside_workers_ends_each_job_once(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note(number: int) -> None:
        await anyio.lowlevel.checkpoint()

    async with app:
        jobs = await note.add_many([note.new(number) for number in range(CHUNK)])
        async with app.worker(concurrency=5):
            report = await app.jobs.cancel(JobFilter(queue_names=("work",)))
            for job in jobs:
                await job.wait_until_finished("10s")
        counts = await app.queue("work").counts()
    assert report.done + sum(skipped.count for skipped in report.skipped) == report.matched
    assert counts[JobState.CANCELLED] == report.done
    assert counts[JobState.COMPLETED] == CHUNK - report.done


async def test_jobs_are_found_by_their_end_their_error_and_their_attempts(app: Conveyor) -> None:
    @app.queue("work").job(attempts=2, backoff=fixed(0))
    async def fail(word: str) -> None:
        raise ValueError(word)

    async with app:
        job = await fail.add("no stamps")
        async with app.worker():
            await job.wait_until_finished("10s")
        now = datetime.now(UTC)
        for wanted, count in (
            (JobFilter(error="VALUEERROR"), 1),
            (JobFilter(error="no stamps"), 1),
            (JobFilter(error="KeyError"), 0),
            (JobFilter(min_attempts=2), 1),
            (JobFilter(min_attempts=3), 0),
            (JobFilter(finished_to=now + timedelta(minutes=1)), 1),
            (JobFilter(finished_from=now + timedelta(minutes=1)), 0),
        ):
            assert await app.jobs.count(wanted) == count, wanted


async def test_a_store_that_cannot_look_around_refuses_bulk_commands(app: Conveyor) -> None:
    async with app:
        app._services.store.inspection = None  # type: ignore[misc] # the store as one without the facet
        with pytest.raises(CapabilityError, match="inspection"):
            await app.jobs.cancel(JobFilter())


async def test_what_is_no_filter_changes_nothing(app: Conveyor) -> None:
    nothing: Any = None
    async with app:
        await add(app, 2)
        for change in (app.jobs.remove, app.jobs.cancel, app.jobs.promote, app.jobs.rerun):
            with pytest.raises(ConfigurationError, match="JobFilter"):
                await change(nothing)
        with pytest.raises(ConfigurationError, match="JobFilter"):
            await app.jobs.find("work")  # type: ignore[arg-type] # what is to be refused
        with pytest.raises(ConfigurationError, match="limit"):
            await app.jobs.find(limit=-1)
        assert await app.jobs.count() == 2
