"""``conveyor jobs cancel``, ``rerun``, ``promote`` and ``remove``: of jobs by their ids, or of all that match."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from conveyor._cli.jobs.filters import FilterOptions
from conveyor._cli.parameters import StoreOptions, Yes, flattened

__all__ = ["cancel", "promote", "remove", "rerun"]

_DEFAULTS: Final = StoreOptions()
_EVERYTHING: Final = FilterOptions()
_BY_OPERATOR: Final = "cancelled by an operator"

JobIds = Annotated[
    list[str] | None,
    Parameter(help="Ids of the jobs, or their first characters, at least 8; else all that match.", negative=""),
]
All = Annotated[
    bool, Parameter(name="--all", negative="", show_default=False, help="Every job, where no other option limits it.")
]


def cancel(
    job_ids: JobIds = None,
    /,
    *,
    wanted: Annotated[FilterOptions, flattened] = _EVERYTHING,
    all_: All = False,
    yes: Yes = False,
    reason: Annotated[str, Parameter(help="Kept with the jobs.")] = _BY_OPERATOR,
    below: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Also all that the jobs of these ids wait for: whole flows."),
    ] = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Cancel jobs; those that run are stopped, and can write nothing more.

    By ids, it exits with 3 if one is not found, else with 5 if one has ended already.

    By what they are, it says how many, and asks.
    """
    if below:
        return _cancel_flows(job_ids, wanted, reason, options, is_all=all_)
    return _change("cancel", job_ids, wanted, all_, yes, options, reason)


def _cancel_flows(
    job_ids: list[str] | None, wanted: FilterOptions, reason: str, options: StoreOptions, *, is_all: bool
) -> int:
    import anyio

    from conveyor._cli.jobs.flows import cancel_flows
    from conveyor.errors import ConfigurationError

    if not job_ids or is_all or not wanted.is_empty:
        raise ConfigurationError("--below is for jobs by their ids: name the topmost job of each flow")
    return anyio.run(cancel_flows, job_ids, reason, options)


def rerun(
    job_ids: JobIds = None,
    /,
    *,
    wanted: Annotated[FilterOptions, flattened] = _EVERYTHING,
    all_: All = False,
    yes: Yes = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Run jobs that have ended again, from their first attempt.

    By ids, it exits with 3 if one is not found, else with 5 if one has not ended yet.

    By what they are, it says how many, and asks.
    """
    return _change("rerun", job_ids, wanted, all_, yes, options)


def promote(
    job_ids: JobIds = None,
    /,
    *,
    wanted: Annotated[FilterOptions, flattened] = _EVERYTHING,
    all_: All = False,
    yes: Yes = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Run delayed jobs now.

    By ids, it exits with 3 if one is not found, else with 5 if one is not delayed.

    By what they are, it says how many, and asks.
    """
    return _change("promote", job_ids, wanted, all_, yes, options)


def remove(
    job_ids: JobIds = None,
    /,
    *,
    wanted: Annotated[FilterOptions, flattened] = _EVERYTHING,
    all_: All = False,
    yes: Yes = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Delete jobs that do not run, with their history.

    By ids, it exits with 3 if one is not found, else with 5 if one runs.

    By what they are, it says how many, and asks.
    """
    return _change("remove", job_ids, wanted, all_, yes, options)


def _change(  # noqa: PLR0917 - what the four commands take
    verb: str,
    job_ids: list[str] | None,
    wanted: FilterOptions,
    is_all: bool,
    is_agreed: bool,
    options: StoreOptions,
    reason: str = "",
) -> int:
    import anyio

    from conveyor._cli.jobs.bulk import change_matching
    from conveyor._cli.jobs.by_id import change_jobs, operation
    from conveyor.errors import ConfigurationError
    from conveyor.model.states import Command

    command = Command(verb)
    if job_ids:
        if is_all or not wanted.is_empty:
            raise ConfigurationError(f"name the jobs to {verb} by their ids, or by options such as --queue; not both")
        return anyio.run(change_jobs, job_ids, options, operation(command, reason))
    if wanted.is_empty and not is_all:
        raise ConfigurationError(f"which jobs to {verb}? Give ids, or options such as --queue; or --all for every job")
    return change_matching(command, wanted, is_agreed, options, reason)
