"""The schedules facet of the PostgreSQL store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from conveyor.codec import decode_options, decode_rule, decode_state, encode_options, encode_rule, encode_state
from conveyor.errors import InvalidJobStateError, JobNotFoundError, ScheduleNotFoundError
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added
from conveyor.model.schedules.firing import (
    REPLACED,
    job_by_hand,
    paused,
    plan_firing,
    refusal,
    resumed,
    upserted,
    with_job,
)
from conveyor.model.schedules.values import ScheduleData, ScheduleSpec, TickReport, UpsertOutcome
from conveyor_plugin_postgres.adding import save_jobs
from conveyor_plugin_postgres.changes import cancel_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor.model.job import NewJob
    from conveyor.model.schedules.values import TickReceipt, UpsertReceipt
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["PostgresSchedules", "fire_due", "look", "look_ahead"]


class PostgresSchedules:
    """Jobs that are added again and again. See `conveyor.contracts.store.schedules`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def upsert_schedules(
        self, specs: Sequence[ScheduleSpec], /, *, is_declared: bool = False
    ) -> Sequence[UpsertReceipt]:
        """Make these schedules, or change those that are there."""
        return await self._database.write(_upsert, specs, is_declared)

    async def get_schedule(self, schedule_id: str, /) -> ScheduleData | None:
        """Return the schedule."""
        return await self._database.read(look, schedule_id)

    async def list_schedules(self, *, after: str = "", limit: int = 1000) -> Sequence[ScheduleData]:
        """Return schedules by id."""
        return await self._database.read(_list, after, limit)

    async def pause_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let a schedule fire no more."""
        return await self._database.write(_pause, schedule_id)

    async def resume_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let it fire again."""
        return await self._database.write(_resume, schedule_id)

    async def remove_schedule(self, schedule_id: str, /) -> None:
        """Delete a schedule."""
        await self._database.write_one(_remove, schedule_id)

    async def run_schedule(self, schedule_id: str, job_id: str, /) -> ScheduleData:
        """Add a job of the schedule now."""
        return await self._database.write(_run, schedule_id, job_id)

    async def fire_schedules(self, *, limit: int = 100) -> TickReport:
        """Fire the schedules that are due."""
        # Mostly there is nothing, and whoever comes second need not wait for the first.
        report = await self._database.read(look_ahead)
        if report.next_run_at is None or report.next_run_at > report.at:
            return report
        return await self._database.write(fire_due, limit)


async def _upsert(part: Part, specs: Sequence[ScheduleSpec], is_declared: bool) -> Sequence[UpsertReceipt]:
    await part.fetchval("schedules/upsert_schedules_lock")
    known = await _lock(part, {spec.id for spec in specs})
    now = await part.now()
    receipts: list[UpsertReceipt] = []
    for spec in specs:
        receipt = upserted(known.get(spec.id), spec, now, is_declared=is_declared)
        known[spec.id] = receipt.schedule
        if receipt.outcome is not UpsertOutcome.UNCHANGED:
            part.hint(NotificationKind.SCHEDULED, spec.queue_name)
        receipts.append(receipt)
    await _keep(part, known.values())
    return receipts


async def _pause(part: Part, schedule_id: str) -> ScheduleData:
    schedule = paused(await _lock_one(part, schedule_id), await part.now())
    await _keep(part, [schedule])
    return schedule


async def _resume(part: Part, schedule_id: str) -> ScheduleData:
    schedule = resumed(await _lock_one(part, schedule_id), await part.now())
    await _keep(part, [schedule])
    part.hint(NotificationKind.SCHEDULED, schedule.spec.queue_name)
    return schedule


async def _remove(part: Part, schedule_id: str) -> None:
    if not await part.execute("schedules/remove_schedule", schedule_id):
        raise ScheduleNotFoundError(schedule_id)


async def _run(part: Part, schedule_id: str, job_id: str) -> ScheduleData:
    known = await _lock_one(part, schedule_id)
    job = job_by_hand(known, job_id)
    if refused := await _add(part, [job]):
        raise refusal(job, refused[job.id])
    schedule = with_job(known, job_id, await part.now(), await _live_ids(part, [known]))
    await _keep(part, [schedule])
    return schedule


async def fire_due(part: Part, limit: int) -> TickReport:
    """Fire the schedules that are due, at most so many."""
    now = await part.now()
    due = [_schedule(row) for row in await part.fetch("schedules/fire_schedules", now, max(limit, 0))]
    live_ids = await _live_ids(part, due)
    firings = [(plan_firing(schedule, now), live_ids.intersection(schedule.state.open_job_ids)) for schedule in due]
    for job_id in sorted(job_id for firing, live in firings for job_id in firing.cancelled_ids(live)):
        with suppress(JobNotFoundError, InvalidJobStateError):  # it ended after all
            await cancel_job(part, job_id, REPLACED)
    refused = await _add(part, [job for firing, live in firings for job in firing.jobs(live)])
    done = [firing.done(live, refused) for firing, live in firings]
    await _keep(part, [schedule for schedule, _ in done])
    report = await look_ahead(part)
    ticks: tuple[TickReceipt, ...] = tuple(receipt for _, receipts in done for receipt in receipts)
    return TickReport(report.at, ticks, report.next_run_at)


async def _add(part: Part, jobs: Sequence[NewJob]) -> dict[str, Added]:
    """Add jobs; return those that were not added, by their ids."""
    return {one.job_id: one.outcome for one in await save_jobs(part, jobs) if one.outcome is not Added.ADDED}


async def _live_ids(part: Part, schedules: Iterable[ScheduleData]) -> set[str]:
    open_ids = [job_id for schedule in schedules for job_id in schedule.state.open_job_ids]
    return {job_id for (job_id,) in await part.fetch("schedules/fire_schedules_live", open_ids)} if open_ids else set()


async def _lock_one(part: Part, schedule_id: str) -> ScheduleData:
    schedule = (await _lock(part, [schedule_id])).get(schedule_id)
    if schedule is None:
        raise ScheduleNotFoundError(schedule_id)
    return schedule


async def _lock(part: Part, schedule_ids: Iterable[str]) -> dict[str, ScheduleData]:
    rows = await part.fetch("schedules/get_schedule_locked", list(schedule_ids))
    return {schedule.id: schedule for schedule in map(_schedule, rows)}


async def _keep(part: Part, schedules: Iterable[ScheduleData]) -> None:
    rows = [
        (
            schedule.id,
            schedule.spec.queue_name,
            schedule.spec.name,
            schedule.spec.payload,
            encode_options(schedule.spec.options),
            encode_rule(schedule.spec.rule),
            encode_state(schedule.state),
            schedule.due_at,
        )
        for schedule in schedules
    ]
    if rows:
        await part.execute("schedules/upsert_schedules", *(list(column) for column in zip(*rows, strict=True)))


async def look(part: Part, schedule_id: str) -> ScheduleData | None:
    """Return the schedule, or None."""
    row = await part.fetchrow("schedules/get_schedule", schedule_id)
    return None if row is None else _schedule(row)


async def _list(part: Part, after: str, limit: int) -> Sequence[ScheduleData]:
    return [_schedule(row) for row in await part.fetch("schedules/list_schedules", after, max(limit, 0))]


async def look_ahead(part: Part) -> TickReport:
    """Return the time, and when the next schedule is due."""
    ((at, next_run_at),) = await part.fetch("schedules/fire_schedules_next", part.moment)
    return TickReport(at, (), next_run_at)


def _schedule(row: Row) -> ScheduleData:
    """Return the schedule of the columns id, queue, name, payload, options, rule, state."""
    schedule_id, queue_name, name, payload, options, rule, state = row
    spec = ScheduleSpec(schedule_id, queue_name, name, payload, decode_options(options), decode_rule(rule))
    return ScheduleData(spec, decode_state(state))
