"""``conveyor jobs``: list, show and logs; the others stand beside."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter, validators

from conveyor._cli.jobs.changes import cancel, promote, remove, rerun
from conveyor._cli.jobs.data import parse_data
from conveyor._cli.jobs.edits import delay, discard, fail, priority, update
from conveyor._cli.jobs.export import export
from conveyor._cli.jobs.filters import FilterOptions
from conveyor._cli.jobs.flows import tree
from conveyor._cli.output import say, show_page, show_records, write, write_json
from conveyor._cli.parameters import ListOptions, StoreOptions, Unmasked, flattened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from conveyor._app import Conveyor
    from conveyor._cli.masks import Mask
    from conveyor._handles.job import Job
    from conveyor.model.job import LogEntry
    from conveyor.model.queries import JobFilter

__all__ = ["jobs"]

_DEFAULTS: Final = StoreOptions()
_LIST_DEFAULTS: Final = ListOptions()
_EVERYTHING: Final = FilterOptions()

jobs: Final = App(name="jobs", help="Find jobs; show, change and export them.")

_LIST_EXAMPLES: Final = """Examples:
  conveyor jobs list --queue emails --state failed delayed
  conveyor jobs list --error TimeoutError --finished-after 2h -o jsonl"""

_HOLDER_EXAMPLES: Final = """Examples:
  conveyor jobs holder mails send_receipt order-17
  conveyor jobs holder mails send_receipt --data '{"order": 17}'"""

JobId = Annotated[str, Parameter(help="Id of the job, or its first characters, at least 8.")]
LogLines = Annotated[int, Parameter(help="How many of its last log lines to show.", validator=validators.Number(gte=0))]


@jobs.command(name="list", help_epilogue=_LIST_EXAMPLES)
def list_(
    *,
    wanted: Annotated[FilterOptions, flattened] = _EVERYTHING,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=1000))] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on after an earlier page: what that page ended with.")] = None,
    oldest_first: Annotated[
        bool, Parameter(negative="", show_default=False, help="From the oldest on, instead of the newest.")
    ] = False,
    unmasked: Unmasked = False,
    options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS,
) -> int:
    """List jobs, newest first unless it says otherwise."""
    import anyio

    from conveyor._cli.jobs.filters import parse_filter

    jobs_wanted = parse_filter(wanted)
    return anyio.run(partial(_list, jobs_wanted, cursor, limit, options, unmasked=unmasked, oldest_first=oldest_first))


async def _list(
    wanted: JobFilter,
    cursor: str | None,
    limit: int,
    options: ListOptions,
    *,
    unmasked: bool,
    oldest_first: bool,
) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.jobs.ids import check_cursor
    from conveyor._cli.jobs.views import LIST_TITLES, list_row
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        await check_cursor(app, cursor)
        found = await app.jobs.find(wanted, cursor=cursor, limit=limit, oldest_first=oldest_first)
        if not found.jobs:
            await check_queues(app, wanted.queue_names)
    mask = mask_of(app, unmasked=unmasked)
    records = [mask.job(job) for job in found.jobs]
    if not records and options.output == "table":
        say("no job matches")
        return 0
    show_page("jobs", records, found.next_cursor, output=options.output, titles=LIST_TITLES, row=list_row)
    return 0


@jobs.command(help_epilogue="Example:\n  conveyor jobs show 01a20167-9ed")
def show(
    job_id: JobId,
    /,
    *,
    log_lines: LogLines = 20,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show all that is known of a job: data, result, family, attempts with their errors, the end of its log."""
    import anyio

    async def find(app: Conveyor) -> Job[Any]:
        from conveyor._cli.jobs.ids import whole_id

        return await app.jobs.get(await whole_id(app, job_id))

    return anyio.run(partial(_show, find, log_lines, options, unmasked=unmasked))


@jobs.command(help_epilogue=_HOLDER_EXAMPLES)
def holder(
    queue: Annotated[str, Parameter(help="Name of its queue.")],
    name: Annotated[str, Parameter(help="Name of the job.")],
    key: Annotated[str | None, Parameter(help="The deduplication key that it was added with.")] = None,
    /,
    *,
    data: Annotated[
        str | None, Parameter(help="In place of the key, where that was taken from it (hash=True): its data, as JSON.")
    ] = None,
    log_lines: LogLines = 20,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show the job that holds a deduplication key, as show does: the one that others met that were not added."""
    import anyio

    from conveyor.errors import ConfigurationError

    if (key is None) is (data is None):
        raise ConfigurationError("give the key, or, where it was taken from the data (hash=True), --data JSON")

    async def find(app: Conveyor) -> Job[Any]:
        from conveyor._cli.failures import CommandError, ExitCode
        from conveyor._cli.known_queues import check_queues

        asked = None if data is None else parse_data(data)
        held = await app.queue(queue).find_by_deduplication_key(name, key, data=asked)
        if held is None:
            await check_queues(app, [queue])
            meant = f"that of the data {data}" if key is None else repr(key)
            what = f"no job {name!r} in queue {queue!r} holds the key {meant}"
            raise CommandError(ExitCode.NOT_FOUND, what, "it ended, its time is over, or its add had no such key")
        return held

    return anyio.run(partial(_show, find, log_lines, options, unmasked=unmasked))


async def _show(
    find: Callable[[Conveyor], Awaitable[Job[Any]]], log_lines: int, options: StoreOptions, *, unmasked: bool
) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.jobs.flows import family_of
    from conveyor._cli.jobs.views import attempts_to_json, logs_to_json, read_logs, where_kept, write_job
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        job = await find(app)
        attempts = await where_kept(job.attempts())
        logs = await where_kept(read_logs(job, log_lines))
        family = await family_of(app, job)
    more = family | {"attempts": attempts_to_json(attempts, log_lines), "logs": logs_to_json(logs)}
    record = mask_of(app, unmasked=unmasked).job(job, more)
    if options.output == "table":
        write_job(record)
    else:
        write_json(record, on_one_line=options.output == "jsonl")
    return 0


@jobs.command(help_epilogue="Example:\n  conveyor jobs logs 01a20167-9ed --follow")
def logs(
    job_id: JobId,
    /,
    *,
    tail: Annotated[
        int | None, Parameter(help="Only the last lines, this many.", validator=validators.Number(gte=0))
    ] = None,
    follow: Annotated[
        bool,
        Parameter(
            name=("--follow", "-f"), negative="", show_default=False, help="Go on with what comes, until the job ends."
        ),
    ] = False,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Print the lines that were logged about a job, oldest first."""
    import anyio

    from conveyor.errors import ConfigurationError

    if follow and options.output == "json":
        raise ConfigurationError("-o json is one value, which --follow never ends: use -o jsonl")
    return anyio.run(partial(_logs, job_id, tail, options, follow=follow, unmasked=unmasked))


async def _logs(job_id: str, tail: int | None, options: StoreOptions, *, follow: bool, unmasked: bool) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.jobs.ids import whole_id
    from conveyor._cli.jobs.views import followed_logs, read_logs
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        job: Job[Any] = await app.jobs.get(await whole_id(app, job_id))
        mask = mask_of(app, unmasked=unmasked)
        if not follow:
            _write_logs(_log_records(job, await read_logs(job, tail), mask), options)
            return 0
        async for entries in followed_logs(job, tail):
            _write_logs(_log_records(job, entries, mask), options)
    return 0


def _log_records(job: Job[Any], entries: Sequence[LogEntry], mask: Mask) -> list[dict[str, Any]]:
    from conveyor._cli.jobs.views import logs_to_json

    records: list[dict[str, Any]] = mask.job(job, {"logs": logs_to_json(entries)})["logs"]
    return records


def _write_logs(records: Sequence[Mapping[str, Any]], options: StoreOptions) -> None:
    from conveyor._cli.jobs.views import log_line

    if options.output != "table":
        show_records(records, options.output, (), lambda _: ())
    else:
        for record in records:
            write(log_line(record))
    sys.stdout.flush()


for _command, _example in (
    (cancel, "conveyor jobs cancel --queue mails --state waiting delayed"),
    (rerun, "conveyor jobs rerun --state failed --error TimeoutError --finished-after 2h"),
    (promote, "conveyor jobs promote --queue mails --name send_welcome --yes"),
    (remove, 'conveyor jobs remove --state completed --finished-before "7 days"'),
    (update, 'conveyor jobs update 01a20167-9ed --data \'{"to": "ada@example.com"}\''),
    (priority, "conveyor jobs priority 01a20167-9ed --to -5"),
    (delay, 'conveyor jobs delay 01a20167-9ed --by "2 hours"'),
    (discard, "conveyor jobs discard 01a20167-9ed"),
    (fail, 'conveyor jobs fail 01a20167-9ed --reason "the order was withdrawn"'),
    (tree, "conveyor jobs tree 01a20167-9ed"),
    (export, "conveyor jobs export --state failed -o csv --file failed.csv"),
):
    jobs.command(_command, help_epilogue=f"Example:\n  {_example}")
