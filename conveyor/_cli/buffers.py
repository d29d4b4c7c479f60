"""``conveyor buffers``: how full they are, and flushing them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from conveyor._cli.output import show_records
from conveyor._cli.parameters import ListOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from conveyor._app import Conveyor
    from conveyor._services.services import Services
    from conveyor.model.buffers.values import BufferSize

__all__ = ["buffers"]

_LIST_DEFAULTS: Final = ListOptions()
APP_ADVICE: Final = "name the app that registers it: --app MODULE:ATTR"

buffers: Final = App(name="buffers", help="Look at buffers, and flush them.")


@buffers.command(name="list", help_epilogue="Example:\n  conveyor buffers list -o json")
def list_(*, options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS) -> int:
    """List buffers: how many jobs wait in each, since when, and whether the app registers it."""
    import anyio

    return anyio.run(partial(_list, options))


@buffers.command(help_epilogue="Example:\n  conveyor buffers flush reindexing --app shop:app")
def flush(
    *ids: Annotated[str, Parameter(help="Ids of buffers; none: all that the app registers.")],
    options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS,
) -> int:
    """Reduce what is in buffers now, and add the result to the queues. The app says how, so it must register them."""
    import anyio

    return anyio.run(partial(_flush, ids, options))


async def _list(options: ListOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only, services_of
    from conveyor._cli.output import say
    from conveyor._services.buffers import get_sizes

    async with looking_only(find_operated_app(options)) as app:
        services = services_of(app)
        sizes = await get_sizes(services)
        registered = frozenset(services.buffers.by_id)
        now = services.buffers.now()
    records = [_record(id, sizes.get(id), now, id in registered) for id in sorted(registered | sizes.keys())]
    if not records and options.output == "table":
        say("no buffers")
        return 0
    titles = ("id", "jobs", "bytes", "oldest", "seconds", "registered", "taken until")
    show_records(records, options.output, titles, _row)
    return 0


def _record(buffer_id: str, size: BufferSize | None, now: datetime, is_registered: bool) -> dict[str, Any]:
    return {
        "id": buffer_id,
        "jobs": 0 if size is None else size.jobs,
        "bytes": 0 if size is None else size.bytes,
        "oldest_at": None if size is None else size.oldest_at.isoformat(),
        "newest_at": None if size is None else size.newest_at.isoformat(),
        "oldest_seconds": None if size is None else max((now - size.oldest_at).total_seconds(), 0.0),
        "is_registered": is_registered,
        "taken_until": until.isoformat() if (until := _taken_until(size, now)) is not None else None,
    }


def _row(record: Mapping[str, Any]) -> Sequence[object]:
    seconds = record["oldest_seconds"]
    return (
        record["id"],
        record["jobs"],
        record["bytes"],
        record["oldest_at"],
        None if seconds is None else round(seconds),
        "yes" if record["is_registered"] else "no",
        record["taken_until"],
    )


def _taken_until(size: BufferSize | None, now: datetime) -> datetime | None:
    """Return until when a flush has the jobs of a buffer; None: none has them."""
    until = None if size is None else size.taken_until
    return until if until is not None and until > now else None


async def _flush(ids: Sequence[str], options: ListOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only, services_of
    from conveyor._services import flushing

    async with looking_only(find_operated_app(options)) as app:
        await _check(app, ids)
        flushed = await flushing.flush(services_of(app), ids)
        await _tell_of_taken(services_of(app), flushed)
    records = [{"id": id, "added": len(jobs)} for id, jobs in flushed.items()]
    show_records(records, options.output, ("id", "added"), lambda record: (record["id"], record["added"]))
    return 0


async def _tell_of_taken(services: Services, ids: Collection[str]) -> None:
    """Say which buffers were left as they are since another flush has them; it may have died with them."""
    from conveyor._cli.output import say
    from conveyor._services.buffers import get_sizes

    now = services.buffers.now()
    for id, size in (await get_sizes(services)).items():
        if id in ids and (until := _taken_until(size, now)) is not None:
            say(f"buffer {id!r}: another flush has its {size.jobs} jobs, until {until.isoformat()} if it died")


async def _check(app: Conveyor, ids: Sequence[str]) -> None:
    """Make sure that the app can flush these buffers, and that it is told of those with jobs that it cannot."""
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor._cli.opening import services_of
    from conveyor._cli.output import say
    from conveyor._services.buffers import buffer_size
    from conveyor.errors import did_you_mean

    services = services_of(app)
    registered = services.buffers.by_id
    sizes = await buffer_size(services)
    for id in ids:
        if id not in sizes:
            what = f"no buffer {id!r}: {did_you_mean(id, sizes)}"
            advice = "see which there are: conveyor buffers list"
            raise CommandError(ExitCode.NOT_FOUND, what, advice if registered else APP_ADVICE)
        if id not in registered:
            what = f"the app does not register buffer {id!r}, so nobody can say how to reduce its {sizes[id]} jobs"
            raise CommandError(ExitCode.REFUSED, what, APP_ADVICE)
    for id in sizes.keys() - registered.keys() if not ids else ():
        say(f"buffer {id!r} has {sizes[id]} jobs, and the app does not register it: they stay there")
