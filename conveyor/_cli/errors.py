"""``conveyor errors``: failed jobs in groups of those that failed alike, and one group with the last of its errors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter, validators

from conveyor._cli.output import age, say, show_page, show_record, write, write_table
from conveyor._cli.parameters import ListOptions, StoreOptions, Unmasked, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.error_groups import ErrorGroupFilter

__all__ = ["errors"]

_DEFAULTS: Final = StoreOptions()
_LIST_DEFAULTS: Final = ListOptions()
_TITLES: Final = ("group", "jobs", "queue", "name", "error", "first", "last")
_SHORT: Final = 80

errors: Final = App(name="errors", help="See failed jobs in groups of those that failed alike.")

Several: Final = Parameter(negative="", consume_multiple=True)


@errors.command(name="list", help_epilogue="Example:\n  conveyor errors list --queue mails -o json")
def list_(
    *,
    queue: Annotated[list[str] | None, Several, Parameter(help="Only of these queues.")] = None,
    name: Annotated[list[str] | None, Several, Parameter(help="Only of these job names.")] = None,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=1000))] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on after an earlier page: what that page ended with.")] = None,
    unmasked: Unmasked = False,
    options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS,
) -> int:
    """List groups of failed jobs, those that failed last first."""
    import anyio

    from conveyor.model.error_groups import ErrorGroupFilter

    wanted = ErrorGroupFilter(tuple(queue or ()), tuple(name or ()))
    return anyio.run(partial(_list, wanted, cursor, limit, options, unmasked=unmasked))


@errors.command(help_epilogue="Example:\n  conveyor errors show 5d41402abc4b2a76")
def show(
    group: Annotated[str, Parameter(help="Id of the group, as conveyor errors list shows it.")],
    /,
    *,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show a group of failed jobs, with the traceback of the last of them."""
    import anyio

    return anyio.run(partial(_show, group, options, unmasked=unmasked))


async def _list(
    wanted: ErrorGroupFilter, cursor: str | None, limit: int, options: ListOptions, *, unmasked: bool
) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only, services_of
    from conveyor.codec import to_json

    async with looking_only(find_operated_app(options)) as app:
        page = await app.jobs.error_groups(wanted, cursor=cursor, limit=limit)
        if not page.groups:
            await check_queues(app, wanted.queue_names)
        mask = mask_of(app, unmasked=unmasked)
        examples = await services_of(app).store.jobs.find_jobs([group.example_id for group in page.groups])
    records = [mask.error(to_json(group), examples.get(group.example_id)) for group in page.groups]
    if not records and options.output == "table":
        say("no job is failed")
        return 0
    show_page("groups", records, page.next_cursor, output=options.output, titles=_TITLES, row=_row)
    return 0


async def _show(group_id: str, options: StoreOptions, *, unmasked: bool) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only, services_of
    from conveyor.codec import to_json
    from conveyor.model.error_groups import ErrorGroupFilter

    async with looking_only(find_operated_app(options)) as app:
        page = await app.jobs.error_groups(ErrorGroupFilter(ids=(group_id,)), limit=1)
        if not page.groups:
            what = f"no failed job is in the error group {group_id!r}"
            raise CommandError(ExitCode.NOT_FOUND, what, "see which there are: conveyor errors list")
        example = await services_of(app).store.jobs.find_job(page.groups[0].example_id)
    # It may have been rerun between the two looks.
    error = None if example is None else example.error
    record = to_json(page.groups[0]) | {"traceback": "" if error is None else error.traceback}
    record = mask_of(app, unmasked=unmasked).error(record, example)
    if options.output == "table":
        _write(record)
    else:
        show_record(record, options.output)
    return 0


def _row(group: Mapping[str, Any]) -> Sequence[object]:
    message = " ".join(group["message"].split())
    line = f"{group['error_type']}: {message}" if message else group["error_type"]
    return (
        group["id"],
        group["count"],
        group["queue_name"],
        group["name"],
        line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…",
        age(group["first_at"]),
        age(group["last_at"]),
    )


def _write(record: Mapping[str, Any]) -> None:
    from conveyor._cli.jobs.tracebacks import without_inner_frames

    write_table((), [(key, value) for key, value in record.items() if key != "traceback"])
    if record["traceback"]:
        write("")
        write(without_inner_frames(record["traceback"]))
    say(f"\nrun its jobs again: conveyor jobs rerun --error-group {record['id']}")
