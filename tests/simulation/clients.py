"""The clients of a simulated run: who adds the jobs, and the operators who change them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio

from conveyor.errors import InvalidJobStateError, JobNotFoundError, StoreUnavailableError
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Conveyor
    from tests.simulation.history import History
    from tests.simulation.plan import Deed, PlannedJob

__all__ = ["start_clients"]


def start_clients(
    tasks: Any, app: Conveyor, jobs: Sequence[PlannedJob], deeds: Sequence[Deed], history: History
) -> None:
    """Start whoever adds a job, and whoever changes something."""
    for job in jobs:
        tasks.start_soon(_add, app, job, history)
    for deed in deeds:
        tasks.start_soon(_do, app, deed)


async def _add(app: Conveyor, job: PlannedJob, history: History) -> None:
    await anyio.sleep(job.add_at)
    options = JobOptions(
        attempts=job.attempts,
        priority=job.priority,
        timeout=job.timeout_seconds,
        lifo=job.is_lifo,
        remove_on_complete=job.is_removed,
    )
    delay = timedelta(seconds=job.delay_seconds) if job.delay_seconds else None
    expires = timedelta(seconds=job.expires_seconds) if job.expires_seconds else None
    new = NewJob(job.id, job.queue_name, "work", b"{}", options, delay, expires=expires)
    await _until_answered(lambda: app.queue(job.queue_name).add_many([new]))
    history.note("acknowledged", "client", job.id)
    if job.cancel_at is not None:
        await anyio.sleep(max(0.0, job.cancel_at - anyio.current_time()))
        await _until_answered(lambda: _change(app, "cancel", job.id))


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
