"""Changing jobs that were named, one by one, and telling what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conveyor._cli.discovery import find_operated_app
from conveyor._cli.failures import ExitCode
from conveyor._cli.jobs.ids import whole_id
from conveyor._cli.opening import looking_only
from conveyor._cli.output import show_records
from conveyor.errors import InvalidJobStateError, JobInBufferError, JobNotFoundError
from conveyor.model.states import Command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor._app import Conveyor
    from conveyor._cli.parameters import StoreOptions
    from conveyor._handles.job import Job
    from conveyor.model.states import JobState

__all__ = ["Change", "change_jobs", "operation"]

# Changes a job and returns its state then; None: it is gone.
Change: TypeAlias = "Callable[[Job[Any]], Awaitable[JobState | None]]"

_CODES: Final = {"not_found": ExitCode.NOT_FOUND, "refused": ExitCode.REFUSED, "done": ExitCode.OK}


async def change_jobs(given: Sequence[str], options: StoreOptions, change: Change) -> int:
    """Change each job; return the exit code of the worst that happened: not found, refused, ok."""
    async with looking_only(find_operated_app(options)) as app:
        # All of them before the first is changed: one that is not clear stops it all.
        job_ids = dict.fromkeys([await whole_id(app, one) for one in given])
        records = [await _changed(app, job_id, change) for job_id in job_ids]
    show_records(records, options.output, ("id", "outcome", "state", "why"), lambda record: tuple(record.values()))
    outcomes = {record["outcome"] for record in records}
    return next(code for outcome, code in _CODES.items() if outcome in outcomes)


def operation(command: Command, reason: str) -> Change:
    """Return what an operator's command does with one job."""

    async def change(job: Job[Any]) -> JobState | None:
        if command is Command.CANCEL:
            await job.cancel(reason)
        elif command is Command.RERUN:
            await job.rerun()
        elif command is Command.PROMOTE:
            await job.promote()
        else:
            await job.remove()
            return None
        return job.state

    return change


async def _changed(app: Conveyor, job_id: str, change: Change) -> dict[str, Any]:
    try:
        state = await change(await app.jobs.get(job_id))
    except JobInBufferError as exc:
        return {"id": job_id, "outcome": "refused", "state": None, "error": str(exc)}
    except JobNotFoundError as exc:
        return {"id": job_id, "outcome": "not_found", "state": None, "error": str(exc)}
    except InvalidJobStateError as exc:
        return {"id": job_id, "outcome": "refused", "state": exc.state, "error": str(exc)}
    return {"id": job_id, "outcome": "done", "state": None if state is None else state.value, "error": None}
