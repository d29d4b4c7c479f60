"""Changing several jobs, one by one, and telling what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor._cli.discovery import find_operated_app
from conveyor._cli.failures import ExitCode
from conveyor._cli.opening import looking_only
from conveyor._cli.output import show_records
from conveyor.errors import InvalidJobStateError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._app import Conveyor
    from conveyor._cli.parameters import StoreOptions

__all__ = ["change_jobs"]

_CODES: Final = {"not_found": ExitCode.NOT_FOUND, "refused": ExitCode.REFUSED, "done": ExitCode.OK}


async def change_jobs(verb: str, job_ids: Sequence[str], options: StoreOptions, args: Sequence[str]) -> int:
    """Cancel or rerun each job; return the exit code of the worst that happened: not found, refused, ok."""
    async with looking_only(find_operated_app(options)) as app:
        records = [await _change(app, verb, job_id, args) for job_id in job_ids]
    show_records(records, options.output, ("id", "outcome", "state", "why"), lambda record: tuple(record.values()))
    outcomes = {record["outcome"] for record in records}
    return next(code for outcome, code in _CODES.items() if outcome in outcomes)


async def _change(app: Conveyor, verb: str, job_id: str, args: Sequence[str]) -> dict[str, Any]:
    try:
        job = await app.jobs.get(job_id)
        await (job.cancel(*args) if verb == "cancel" else job.rerun())
    except JobNotFoundError as exc:
        return {"id": job_id, "outcome": "not_found", "state": None, "error": str(exc)}
    except InvalidJobStateError as exc:
        return {"id": job_id, "outcome": "refused", "state": exc.state, "error": str(exc)}
    return {"id": job_id, "outcome": "done", "state": job.state.value, "error": None}
