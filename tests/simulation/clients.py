"""The clients of a simulated run: who adds the jobs, and the operators who change them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio

from conveyor.errors import DuplicateJobError, InvalidJobStateError, JobNotFoundError, StoreUnavailableError
from conveyor.model.flows import Flow
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from tests.simulation.features import Features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor import Conveyor
    from tests.simulation.features import LimitChange, PlannedFlow, PlannedSchedule
    from tests.simulation.history import History
    from tests.simulation.plan import Deed, Plan, PlannedJob

__all__ = ["start_clients"]


def start_clients(tasks: Any, app: Conveyor, plan: Plan, history: History) -> None:
    """Start whoever adds something, and whoever changes something."""
    features = plan.features or Features({})
    in_flows = {job_id for flow in features.flows for job_id in flow.job_ids}
    for job in plan.jobs:
        if job.id not in in_flows:
            tasks.start_soon(_add, app, job, history)
    jobs = {job.id: job for job in plan.jobs}
    for flow in features.flows:
        tasks.start_soon(_add_flow, app, flow, jobs, history)
    for schedule in features.schedules:
        tasks.start_soon(_make_schedule, app, schedule)
    for change in features.changes:
        tasks.start_soon(_change_limits, app, change)
    for deed in plan.deeds:
        tasks.start_soon(_do, app, deed)


async def _add(app: Conveyor, job: PlannedJob, history: History) -> None:
    await anyio.sleep(job.add_at)
    new = _new(job)
    await _until_answered(lambda: app.queue(job.queue_name).add_many([new]))
    await _note_added(app, job, history)


async def _add_flow(app: Conveyor, flow: PlannedFlow, jobs: Mapping[str, PlannedJob], history: History) -> None:
    """Add a flow; asked again after its jobs went, in part, it may be refused."""
    await anyio.sleep(flow.add_at)
    made: dict[str, Flow | NewJob] = {}
    # Children come before their parents.
    for job_id in flow.job_ids:
        children = [made[child_id] for parent_id, child_id in flow.edges if parent_id == job_id]
        new = _new(jobs[job_id])
        made[job_id] = Flow(new, children) if children else new
    root = made[flow.job_ids[-1]]
    assert isinstance(root, Flow)
    with suppress(DuplicateJobError):
        await _until_answered(lambda: app.flows.add(root))
    async with anyio.create_task_group() as tasks:
        for job_id in flow.job_ids:
            tasks.start_soon(_note_added, app, jobs[job_id], history)


async def _note_added(app: Conveyor, job: PlannedJob, history: History) -> None:
    history.note("acknowledged", "client", job.id)
    if job.cancel_at is not None:
        await anyio.sleep(max(0.0, job.cancel_at - anyio.current_time()))
        await _until_answered(lambda: _change(app, "cancel", job.id))


async def _make_schedule(app: Conveyor, schedule: PlannedSchedule) -> None:
    await anyio.sleep(schedule.made_at)
    job = app.queue(schedule.queue_name).new("tick", None)
    times: Any = {
        "every": schedule.every_seconds,
        "limit": schedule.limit,
        "overlap": schedule.overlap,
        "missed": schedule.missed,
    }
    await _until_answered(lambda: app.schedules.upsert(schedule.id, job, **times))


async def _change_limits(app: Conveyor, change: LimitChange) -> None:
    await anyio.sleep(change.at)
    held = change.limits
    await _until_answered(
        lambda: app.queue(change.queue_name).set_limits(
            max_global_concurrency=held.max_global_concurrency,
            limiter=held.limiter,
            group=held.group,
            names=held.names,
        )
    )


def _new(job: PlannedJob) -> NewJob:
    options = JobOptions(
        attempts=job.attempts,
        priority=job.priority,
        timeout=job.timeout_seconds,
        lifo=job.is_lifo,
        remove_on_complete=job.is_removed or (timedelta(seconds=job.keep_seconds) if job.keep_seconds else False),
        group=job.group,
        on_child_failure=job.on_child_failure,
    )
    delay = timedelta(seconds=job.delay_seconds) if job.delay_seconds else None
    expires = timedelta(seconds=job.expires_seconds) if job.expires_seconds else None
    return NewJob(job.id, job.queue_name, job.name, b"{}", options, delay, expires=expires)


async def _do(app: Conveyor, deed: Deed) -> None:
    await anyio.sleep(deed.at)
    if deed.verb in ("pause", "resume"):
        change = getattr(app.queue(deed.target), deed.verb)
        await _until_answered(lambda: change(deed.job_name))
    else:
        await _until_answered(lambda: _change(app, deed.verb, deed.target))


async def _change(app: Conveyor, verb: str, job_id: str) -> None:
    try:
        await getattr(await app.jobs.get(job_id), verb)()
    except (InvalidJobStateError, JobNotFoundError):
        return  # too early, or too late


async def _until_answered(call: Any) -> None:
    while True:
        try:
            await call()
        except StoreUnavailableError:
            await anyio.sleep(0.2)
        else:
            return
