"""``conveyor jobs``: list, show, logs, cancel, rerun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter, validators

from conveyor._cli.output import say, show_records, write, write_json
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.queries import JobFilter

__all__ = ["jobs"]

_DEFAULTS: Final = StoreOptions()

jobs: Final = App(name="jobs", help="Look at jobs; cancel them or run them again.")

Several = Parameter(negative="", consume_multiple=True)
_LIST_EXAMPLES: Final = """Examples:
  conveyor jobs list --queue emails --state failed delayed
  conveyor jobs list --text ada@example.com -o jsonl"""

JobId = Annotated[str, Parameter(help="Id of the job.")]
JobIds = Annotated[list[str], Parameter(help="Ids of the jobs.", negative="")]


@jobs.command(name="list", help_epilogue=_LIST_EXAMPLES)
def list_(
    *,
    queue: Annotated[list[str] | None, Several, Parameter(help="Only of these queues.")] = None,
    state: Annotated[
        list[str] | None,
        Several,
        Parameter(
            help="Only in these states: waiting, waiting_children, delayed, active, completed, failed, cancelled."
        ),
    ] = None,
    name: Annotated[list[str] | None, Several, Parameter(help="Only of these job names.")] = None,
    tag: Annotated[list[str] | None, Several, Parameter(help="Only with all of these tags.")] = None,
    text: Annotated[str, Parameter(show_default=False, help="Only with this in the id, the name or the payload.")] = "",
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=1000))] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on after an earlier page: what that page ended with.")] = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """List jobs, newest first."""
    import anyio

    from conveyor._services.queues import parse_state
    from conveyor.model.queries import JobFilter

    states = tuple(parse_state(one) for one in state or ())
    wanted = JobFilter(tuple(queue or ()), tuple(name or ()), states, tuple(tag or ()), text)
    return anyio.run(_list, wanted, cursor, limit, options)


async def _list(wanted: JobFilter, cursor: str | None, limit: int, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.job_views import LIST_TITLES, list_row
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        found = await app.jobs.find(wanted, cursor=cursor, limit=limit)
        if not found.jobs:
            await check_queues(app, wanted.queue_names)
    records = [job.to_json() for job in found.jobs]
    if not records and options.output == "table":
        say("no job matches")
        return 0
    if options.output == "json":
        write_json({"jobs": records, "next_cursor": found.next_cursor})
        return 0
    show_records(records, options.output, LIST_TITLES, list_row)
    if found.next_cursor is not None:
        say(f"there are more: --cursor {found.next_cursor}")
    return 0


@jobs.command
def show(
    job_id: JobId,
    /,
    *,
    log_lines: Annotated[
        int, Parameter(help="How many of its last log lines to show.", validator=validators.Number(gte=0))
    ] = 20,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show all that is known of a job: data, result, last error, attempts, the end of its log."""
    import anyio

    return anyio.run(_show, job_id, log_lines, options)


async def _show(job_id: str, log_lines: int, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.job_views import attempts_to_json, logs_to_json, read_logs, write_job
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        job = await app.jobs.get(job_id)
        attempts = await job.attempts()
        logs = await read_logs(job, log_lines)
    record = job.to_json() | {"attempts": attempts_to_json(attempts), "logs": logs_to_json(logs)}
    if options.output == "table":
        write_job(record)
    else:
        write_json(record, on_one_line=options.output == "jsonl")
    return 0


@jobs.command
def logs(
    job_id: JobId,
    /,
    *,
    tail: Annotated[
        int | None, Parameter(help="Only the last lines, this many.", validator=validators.Number(gte=0))
    ] = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Print the lines that were logged about a job, oldest first."""
    import anyio

    return anyio.run(_logs, job_id, tail, options)


async def _logs(job_id: str, tail: int | None, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.job_views import log_line, logs_to_json, read_logs
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        entries = logs_to_json(await read_logs(await app.jobs.get(job_id), tail))
    if options.output != "table":
        show_records(entries, options.output, (), lambda _: ())
        return 0
    for entry in entries:
        write(log_line(entry))
    return 0


@jobs.command
def cancel(
    job_ids: JobIds,
    /,
    *,
    reason: Annotated[str, Parameter(help="Kept with the jobs.")] = "cancelled by an operator",
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Cancel jobs; those that run are stopped, and can write nothing more.

    Exits with 3 if one of them is not found, else with 5 if one of them has ended already.
    """
    return _change("cancel", job_ids, options, reason)


@jobs.command
def rerun(job_ids: JobIds, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Run jobs that have ended again, from their first attempt.

    Exits with 3 if one of them is not found, else with 5 if one of them has not ended yet.
    """
    return _change("rerun", job_ids, options)


def _change(verb: str, job_ids: Sequence[str], options: StoreOptions, *args: str) -> int:
    import anyio

    from conveyor._cli.job_changes import change_jobs

    return anyio.run(change_jobs, verb, job_ids, options, args)
