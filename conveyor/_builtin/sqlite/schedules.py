"""The schedules facet of the SQLite store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.adding import save_jobs
from conveyor._builtin.sqlite.changes import cancel_job
from conveyor._builtin.sqlite.rows import from_micros, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_options, decode_rule, decode_state, encode_options, encode_rule, encode_state
from conveyor.errors import ScheduleNotFoundError
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

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.rows import JobRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.contracts.clock import Clock
    from conveyor.model.job import NewJob
    from conveyor.model.schedules.values import TickReceipt, UpsertReceipt

__all__ = ["SqliteSchedules"]


class SqliteSchedules:
    """Jobs that are added again and again. See `conveyor.contracts.store.schedules`."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock) -> None:
        self._write = writer.run
        self._read = readers.run
        self._clock = clock

    async def upsert_schedules(
        self, specs: Sequence[ScheduleSpec], /, *, is_declared: bool = False
    ) -> Sequence[UpsertReceipt]:
        """Make these schedules, or change those that are there."""
        return await self._write(_upsert, specs, is_declared)

    async def get_schedule(self, schedule_id: str, /) -> ScheduleData | None:
        """Return the schedule."""
        return await self._read(_look, schedule_id)

    async def list_schedules(self, *, after: str = "", limit: int = 1000) -> Sequence[ScheduleData]:
        """Return schedules by id."""
        return await self._read(_list, after, limit)

    async def pause_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let a schedule fire no more."""
        return await self._write(_pause, schedule_id)

    async def resume_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let it fire again."""
        return await self._write(_resume, schedule_id)

    async def remove_schedule(self, schedule_id: str, /) -> None:
        """Delete a schedule."""
        await self._write(_remove, schedule_id)

    async def run_schedule(self, schedule_id: str, job_id: str, /) -> ScheduleData:
        """Add a job of the schedule now."""
        return await self._write(_run, schedule_id, job_id)

    async def fire_schedules(self, *, limit: int = 100) -> TickReport:
        """Fire the schedules that are due."""
        # To look takes no write lock, and mostly there is nothing.
        report = await self._read(_next, to_micros(self._clock.now()))
        if report.next_run_at is None or report.next_run_at > report.at:
            return report
        return await self._write(_fire_due, limit)


def _upsert(transaction: Transaction, specs: Sequence[ScheduleSpec], is_declared: bool) -> Sequence[UpsertReceipt]:
    now = from_micros(transaction.now)
    receipts: list[UpsertReceipt] = []
    for spec in specs:
        receipt = upserted(_look(transaction.connection, spec.id), spec, now, is_declared=is_declared)
        _keep(transaction, receipt.schedule)
        if receipt.outcome is not UpsertOutcome.UNCHANGED:
            transaction.hint(NotificationKind.SCHEDULED, spec.queue_name)
        receipts.append(receipt)
    return receipts


def _pause(transaction: Transaction, schedule_id: str) -> ScheduleData:
    schedule = _find(transaction.connection, schedule_id)
    return _keep(transaction, paused(schedule, from_micros(transaction.now)))


def _resume(transaction: Transaction, schedule_id: str) -> ScheduleData:
    schedule = _find(transaction.connection, schedule_id)
    transaction.hint(NotificationKind.SCHEDULED, schedule.spec.queue_name)
    return _keep(transaction, resumed(schedule, from_micros(transaction.now)))


def _remove(transaction: Transaction, schedule_id: str) -> None:
    if not transaction.connection.execute(sql("schedules/remove_schedule"), (schedule_id,)).rowcount:
        raise ScheduleNotFoundError(schedule_id)


def _run(transaction: Transaction, schedule_id: str, job_id: str) -> ScheduleData:
    schedule = _find(transaction.connection, schedule_id)
    job = job_by_hand(schedule, job_id)
    if refused := _add(transaction, [job]):
        raise refusal(job, refused[job.id])
    live_ids = _live_ids(transaction, schedule)
    return _keep(transaction, with_job(schedule, job_id, from_micros(transaction.now), live_ids))


def _fire_due(transaction: Transaction, limit: int) -> TickReport:
    due = transaction.connection.execute(sql("schedules/fire_schedules"), (transaction.now, max(limit, 0))).fetchall()
    ticks = [receipt for row in due for receipt in _fire(transaction, _schedule(row))]
    report = _next(transaction.connection, transaction.now)
    return TickReport(report.at, tuple(ticks), report.next_run_at)


def _fire(transaction: Transaction, schedule: ScheduleData) -> Sequence[TickReceipt]:
    firing = plan_firing(schedule, from_micros(transaction.now))
    live_ids = _live_ids(transaction, schedule)
    for job_id in firing.cancelled_ids(live_ids):
        cancel_job(transaction, job_id, REPLACED)
    after, ticks = firing.done(live_ids, _add(transaction, firing.jobs(live_ids)))
    _keep(transaction, after)
    return ticks


def _add(transaction: Transaction, jobs: Sequence[NewJob]) -> dict[str, Added]:
    """Add jobs; return those that were not added, by their ids."""
    return {one.job_id: one.outcome for one in save_jobs(transaction, jobs) if one.outcome is not Added.ADDED}


def _live_ids(transaction: Transaction, schedule: ScheduleData) -> set[str]:
    if not schedule.state.open_job_ids:
        return set()
    ids = (json.dumps(schedule.state.open_job_ids),)
    return {job_id for (job_id,) in transaction.connection.execute(sql("schedules/fire_schedules_live"), ids)}


def _keep(transaction: Transaction, schedule: ScheduleData) -> ScheduleData:
    spec = schedule.spec
    due_at = None if schedule.due_at is None else to_micros(schedule.due_at)
    job = spec.id, spec.queue_name, spec.name, spec.payload, encode_options(spec.options)
    row = (*job, encode_rule(spec.rule), encode_state(schedule.state), due_at)
    transaction.connection.execute(sql("schedules/upsert_schedules"), row)
    return schedule


def _find(connection: sqlite3.Connection, schedule_id: str) -> ScheduleData:
    schedule = _look(connection, schedule_id)
    if schedule is None:
        raise ScheduleNotFoundError(schedule_id)
    return schedule


def _look(connection: sqlite3.Connection, schedule_id: str) -> ScheduleData | None:
    row = connection.execute(sql("schedules/get_schedule"), (schedule_id,)).fetchone()
    return None if row is None else _schedule(row)


def _list(connection: sqlite3.Connection, after: str, limit: int) -> Sequence[ScheduleData]:
    return [_schedule(row) for row in connection.execute(sql("schedules/list_schedules"), (after, max(limit, 0)))]


def _next(connection: sqlite3.Connection, now: int) -> TickReport:
    (due_at,) = connection.execute(sql("schedules/fire_schedules_next")).fetchone()
    return TickReport(from_micros(now), (), None if due_at is None else from_micros(due_at))


def _schedule(row: JobRow) -> ScheduleData:
    """Return the schedule of the columns id, queue, name, payload, options, rule, state."""
    schedule_id, queue_name, name, payload, options, rule, state = row
    spec = ScheduleSpec(schedule_id, queue_name, name, payload, decode_options(options), decode_rule(rule))
    return ScheduleData(spec, decode_state(state))
