"""``conveyor queues limits``: show what limits a queue has and who waits for them, and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from conveyor._cli.new_limits import NewLimits
from conveyor._cli.output import in_words, show_record, write_table
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conveyor._handles.queue import Queue
    from conveyor.model.limits import LimitsReport, QueueLimits

__all__ = ["limits"]

_DEFAULTS: Final = StoreOptions()

limits: Final = App(name="limits", help="Look at the limits of a queue, and change them.")

QueueName = Annotated[str, Parameter(help="Name of the queue.")]
Force = Annotated[
    bool, Parameter(name="--force", negative="", show_default=False, help="Also a queue that the store has never seen.")
]
_TITLES: Final = ("scope", "key", "kind", "used", "max", "waiting", "room in")


@limits.command(help_epilogue="Example:\n  conveyor queues limits show mails")
def show(queue: QueueName, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Show what limits hold for a queue, how far each is used, how many jobs wait for it, and when it has room."""
    import anyio

    return anyio.run(_show, queue, options)


_NO_CHANGES: Final = NewLimits()


@limits.command(name="set", help_epilogue='Example:\n  conveyor queues limits set mails --rate "100/1 minute"')
def set_(
    queue: QueueName,
    /,
    *,
    new: Annotated[NewLimits, flattened] = _NO_CHANGES,
    force: Force = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Change those limits of a queue that are given, for all its workers at once; "none" takes one away.

    Weights are kept where a rate is given anew, but for those that are given. Workers that declare another value are
    refused when they start.
    """
    import anyio

    return anyio.run(_change, queue, new.apply, force, options)


@limits.command(help_epilogue="Example:\n  conveyor queues limits clear mails")
def clear(queue: QueueName, /, *, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Take every limit of a queue away."""
    import anyio

    return anyio.run(_change, queue, None, False, options)


async def _show(name: str, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        await check_queues(app, [name])
        report = await app.queue(name).limits()
    if options.output == "table":
        write_table(_TITLES, [_row(usage) for usage in _to_json(name, report)["usages"]])
        return 0
    show_record(_to_json(name, report), options.output)
    return 0


async def _change(
    name: str, apply: Callable[[QueueLimits], QueueLimits] | None, force: bool, options: StoreOptions
) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        if not force:
            await check_queues(app, [name], f"if that is the name: conveyor queues limits set {name} --force")
        queue = app.queue(name)
        await _set(queue, apply)
        report = await queue.limits()
    show_record(_to_json(name, report), options.output)
    return 0


async def _set(queue: Queue, apply: Callable[[QueueLimits], QueueLimits] | None) -> None:
    from conveyor.model.limits import NO_LIMITS

    held = NO_LIMITS if apply is None else apply((await queue.limits()).limits)
    await queue.set_limits(
        max_global_concurrency=held.max_global_concurrency, limiter=held.limiter, group=held.group, names=held.names
    )


def _to_json(name: str, report: LimitsReport) -> dict[str, Any]:
    from conveyor.codec import to_json

    usages = [{**to_json(usage), "is_full": usage.is_full} for usage in report.usages]
    return {"name": name, "limits": to_json(report.limits), "usages": usages}


def _row(usage: Mapping[str, Any]) -> Sequence[object]:
    from datetime import UTC, datetime

    free_at = usage["free_at"]
    room = "" if free_at is None else in_words((datetime.fromisoformat(free_at) - datetime.now(UTC)).total_seconds())
    return (*(usage[title] for title in _TITLES[:-1]), room)
