"""``conveyor schedules``: list and show; pause, resume, run, remove; when they fire next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from cyclopts import App, Parameter

from conveyor._cli.output import show_record, show_records
from conveyor._cli.parameters import ListOptions, StoreOptions, Unmasked, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._app import Conveyor

__all__ = ["schedules"]

_DEFAULTS: Final = StoreOptions()
_LIST_DEFAULTS: Final = ListOptions()

schedules: Final = App(name="schedules", help="Look at schedules; pause, run and remove them.")

ScheduleId = Annotated[str, Parameter(help="Id of the schedule.")]
Verb: TypeAlias = Literal["pause", "resume", "run", "remove"]


@schedules.command(name="list", help_epilogue="Example:\n  conveyor schedules list -o json")
def list_(*, unmasked: Unmasked = False, options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS) -> int:
    """List schedules: what they add, when, and when next."""
    import anyio

    return anyio.run(partial(_list, options, unmasked=unmasked))


@schedules.command(help_epilogue="Example:\n  conveyor schedules show reports:nightly")
def show(
    schedule_id: ScheduleId,
    /,
    *,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show all that is known of a schedule."""
    import anyio

    return anyio.run(partial(_show, schedule_id, options, unmasked=unmasked))


@schedules.command(name="next", help_epilogue="Example:\n  conveyor schedules next reports:nightly --count 3")
def next_(
    schedule_id: ScheduleId,
    /,
    *,
    count: Annotated[int, Parameter(help="How many times.")] = 5,
    options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS,
) -> int:
    """List when a schedule fires next."""
    import anyio

    return anyio.run(_next, schedule_id, count, options)


@schedules.command(help_epilogue="Example:\n  conveyor schedules pause reports:nightly")
def pause(schedule_id: ScheduleId, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Let a schedule fire no more until it is resumed; its jobs go on."""
    import anyio

    return anyio.run(_change, "pause", schedule_id, options)


@schedules.command(help_epilogue="Example:\n  conveyor schedules resume reports:nightly")
def resume(schedule_id: ScheduleId, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Let a schedule fire again, from its next tick on."""
    import anyio

    return anyio.run(_change, "resume", schedule_id, options)


@schedules.command(help_epilogue="Example:\n  conveyor schedules run reports:nightly")
def run(schedule_id: ScheduleId, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Add a job of a schedule now; its times stay as they are."""
    import anyio

    return anyio.run(_change, "run", schedule_id, options)


@schedules.command(help_epilogue="Example:\n  conveyor schedules remove reports:nightly")
def remove(schedule_id: ScheduleId, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Delete a schedule; its jobs stay. A program that declares it makes it again when it starts."""
    import anyio

    return anyio.run(_change, "remove", schedule_id, options)


async def _list(options: ListOptions, *, unmasked: bool) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import say
    from conveyor.codec import schedule_to_json

    async with looking_only(find_operated_app(options)) as app:
        mask = mask_of(app, unmasked=unmasked)
        records = [mask.schedule(schedule_to_json(schedule)) for schedule in await app.schedules.list()]
    if not records and options.output == "table":
        say("no schedules")
        return 0
    titles = ("id", "when", "queue", "name", "next", "fired", "state")
    show_records(records, options.output, titles, _row)
    return 0


async def _show(schedule_id: str, options: StoreOptions, *, unmasked: bool) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only
    from conveyor.codec import schedule_to_json

    async with looking_only(find_operated_app(options)) as app:
        await _check(app, schedule_id)
        schedule = await app.schedules.get(schedule_id)
    show_record(mask_of(app, unmasked=unmasked).schedule(schedule_to_json(schedule)), options.output)
    return 0


async def _next(schedule_id: str, count: int, options: ListOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        await _check(app, schedule_id)
        fires = await app.schedules.next_fires(schedule_id, count)
    show_records([{"at": fire.isoformat()} for fire in fires], options.output, ("at",), lambda one: (one["at"],))
    return 0


async def _change(verb: Verb, schedule_id: str, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        await _check(app, schedule_id)
        record: dict[str, Any] = {"id": schedule_id}
        if verb == "run":
            record["job_id"] = (await app.schedules.run_now(schedule_id)).id
        elif verb == "remove":
            await app.schedules.remove(schedule_id)
            record["removed"] = True
        else:
            changing = app.schedules.pause if verb == "pause" else app.schedules.resume
            state = (await changing(schedule_id)).state
            next_run_at = None if state.next_run_at is None else state.next_run_at.isoformat()
            record |= {"is_paused": state.is_paused, "next_run_at": next_run_at}
    show_record(record, options.output)
    return 0


async def _check(app: Conveyor, schedule_id: str) -> None:
    """Make sure that there is such a schedule, or name the nearest."""
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor.errors import did_you_mean

    known = [schedule.id for schedule in await app.schedules.list()]
    if schedule_id not in known:
        what = f"no schedule {schedule_id!r}: {did_you_mean(schedule_id, known)}"
        raise CommandError(ExitCode.NOT_FOUND, what, "see which there are: conveyor schedules list")


def _row(schedule: Mapping[str, Any]) -> Sequence[object]:
    state = "paused" if schedule["is_paused"] else "active" if schedule["next_run_at"] else "ended"
    return (
        schedule["id"],
        schedule["in_words"],
        schedule["queue_name"],
        schedule["name"],
        schedule["next_run_at"],
        schedule["fired_count"],
        schedule["problem"] or state,
    )
