"""``conveyor events``: what happens to jobs and queues, as it happens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from cyclopts import Parameter, validators

from conveyor._cli.output import say, write, write_json
from conveyor._cli.parameters import StoreOptions, Unmasked, flattened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from conveyor._app import Conveyor
    from conveyor._handles.events import EventStream

__all__ = ["events"]

_DEFAULTS: Final = StoreOptions()
# As wide as the longest kind, "waiting_children".
_KIND_WIDTH: Final = 16


class _Wanted(NamedTuple):
    queue_name: str | None
    job_id: str | None
    kinds: tuple[str, ...]
    limit: int | None


def events(
    *,
    queue: Annotated[str | None, Parameter(help="Only of this queue.")] = None,
    job: Annotated[str | None, Parameter(help="Only of the job with this id, or with this beginning of one.")] = None,
    kind: Annotated[
        tuple[str, ...],
        Parameter(help="Only of these kinds, such as completed or failed.", consume_multiple=True, negative=""),
    ] = (),
    limit: Annotated[
        int | None, Parameter(help="Stop after so many events.", validator=validators.Number(gte=1))
    ] = None,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Print what happens from now on, in every process that uses the store, until you interrupt it."""
    import anyio

    from conveyor._services.events import parse_kinds
    from conveyor.errors import ConfigurationError

    if options.output == "json":
        raise ConfigurationError("-o json is one value, which a stream of events never ends: use -o jsonl")
    if queue is not None and job is not None:
        raise ConfigurationError("--queue and --job go apart: a job has one queue")
    parse_kinds(kind)
    return anyio.run(_events, _Wanted(queue, job, kind, limit), options, unmasked)


async def _events(wanted: _Wanted, options: StoreOptions, unmasked: bool) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only, services_of

    async with looking_only(find_operated_app(options)) as app:
        if wanted.queue_name is not None:
            await check_queues(app, [wanted.queue_name])
        mask = mask_of(app, unmasked=unmasked)
        async with await _stream(app, wanted) as stream:
            say(f"watching events in {services_of(app).store.name}")
            async for record in _records(stream, wanted.limit):
                _write(await mask.event(record), options)
    return 0


async def _stream(app: Conveyor, wanted: _Wanted) -> AbstractAsyncContextManager[EventStream]:
    from conveyor._cli.jobs.ids import whole_id

    kinds = wanted.kinds or None
    if wanted.job_id is not None:
        return (await app.jobs.get(await whole_id(app, wanted.job_id))).events(kinds)
    return app.events(kinds) if wanted.queue_name is None else app.queue(wanted.queue_name).events(kinds)


async def _records(stream: EventStream, limit: int | None) -> AsyncIterator[dict[str, Any]]:
    from conveyor._handles.events import Event

    count = 0
    async for event in stream:
        # As the store keeps it, as `conveyor jobs show` does: what is sealed stays so.
        yield Event(event.record).to_json()
        count += 1
        if count == limit:
            return


def _write(record: Mapping[str, Any], options: StoreOptions) -> None:
    if options.output == "jsonl":
        write_json(record, on_one_line=True)
    else:
        write(_line(record))
    sys.stdout.flush()


def _line(record: Mapping[str, Any]) -> str:
    about = [record.get(name, "") for name in ("queue_name", "job_name", "job_id")]
    words = [record["at"][11:23], record["kind"].ljust(_KIND_WIDTH), *filter(None, about), _details(record)]
    return " ".join(filter(None, words))


def _details(record: Mapping[str, Any]) -> str:
    if "error" in record:
        return f"{record['error']['type']}: {record['error']['message']}"
    if "progress" in record:
        progress = record["progress"]
        total = "" if progress["total"] is None else f"/{progress['total']:g}"
        return f"{progress['done']:g}{total} {progress['message'] or ''}".rstrip()
    if "count" in record:
        return str(record["count"])
    return ""
