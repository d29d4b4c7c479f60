"""``conveyor jobs update``, ``priority``, ``delay``, ``discard`` and ``fail``: of jobs by their ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from conveyor._cli.jobs.data import parse_data
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor._handles.job import Job
    from conveyor.model.states import JobState

__all__ = ["delay", "discard", "fail", "priority", "update"]

_DEFAULTS: Final = StoreOptions()
_BY_OPERATOR: Final = "failed by an operator"

JobIds = Annotated[list[str], Parameter(help="Ids of the jobs, or their first characters, at least 8.", negative="")]


def update(
    job_ids: JobIds,
    /,
    *,
    data: Annotated[str, Parameter(help="What their handlers get, as JSON.")],
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Give jobs that have not ended other data; those that run keep theirs until their next attempt.

    It exits with 3 if a job is not found, else with 5 if one has ended.
    """
    value = parse_data(data)
    return _change(job_ids, options, lambda job: job.update_data(value))


def priority(
    job_ids: JobIds,
    /,
    *,
    to: Annotated[int, Parameter(help="The new priority; lower runs first.")],
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Let jobs that wait run sooner, or later.

    It exits with 3 if a job is not found, else with 5 if one runs or has ended.
    """
    return _change(job_ids, options, lambda job: job.change_priority(to))


def delay(
    job_ids: JobIds,
    /,
    *,
    by: Annotated[str, Parameter(help='From now, such as 90s or "2 hours".')] = "",
    until: Annotated[str, Parameter(help="A time such as 2030-01-31T09:00+01:00; UTC, if it names no zone.")] = "",
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Put jobs off, --by some time or --until a time; those that run are stopped, which counts as no attempt.

    It exits with 3 if a job is not found, else with 5 if one has ended.
    """
    at = _parse_due(by, until)
    return _change(job_ids, options, lambda job: job.move_to_delayed(at))


def discard(job_ids: JobIds, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Let jobs fail for good where they would be tried again, after the run that goes on or comes next.

    It exits with 3 if a job is not found, else with 5 if one has ended.
    """
    return _change(job_ids, options, lambda job: job.discard())


def fail(
    job_ids: JobIds,
    /,
    *,
    reason: Annotated[str, Parameter(help="Kept with the jobs.")] = _BY_OPERATOR,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """End jobs as failed; those that run are stopped, and can write nothing more.

    It exits with 3 if a job is not found, else with 5 if one has ended.
    """
    return _change(job_ids, options, lambda job: job.move_to_failed(reason))


def _change(job_ids: list[str], options: StoreOptions, edit: Callable[[Job[Any]], Awaitable[None]]) -> int:
    import anyio

    from conveyor._cli.jobs.by_id import change_jobs

    async def change(job: Job[Any]) -> JobState | None:
        await edit(job)
        return job.state

    return anyio.run(change_jobs, job_ids, options, change)


def _parse_due(by: str, until: str) -> datetime:
    from conveyor.errors import ConfigurationError
    from conveyor.model.durations import parse_duration

    if bool(by) == bool(until):
        raise ConfigurationError("say how long, or until when: --by or --until")
    if by:
        return datetime.now(UTC) + parse_duration(by, field="--by")
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise ConfigurationError(f"--until must be a time such as 2030-01-31T09:00+01:00, got {until!r}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
