"""``conveyor queues limits``: show what limits a queue has and who waits for them, and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from attrs import frozen
from cyclopts import App, Parameter

from conveyor._cli.output import in_words, show_record, write_table
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._handles.queue import Queue
    from conveyor.model.limits import LimitsReport, QueueLimits, RateLimit

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


@frozen(kw_only=True)
class NewLimits:
    """What `limits set` changes; what is not given stays as it is."""

    max_global_concurrency: Annotated[
        str | None, Parameter(help="How many of its jobs run at once on all workers, or none.")
    ] = None
    rate: Annotated[
        str | None, Parameter(help='How many of its jobs start in a time, such as "100/1 minute", or none.')
    ] = None
    burst: Annotated[int | None, Parameter(help="With --rate: a token bucket that holds so many starts.")] = None
    rate_key: Annotated[
        str | None, Parameter(help='With --rate: count apart by "name", the job\'s, or by "group".')
    ] = None
    group_concurrency: Annotated[str | None, Parameter(help="How many jobs of a group run at once, or none.")] = None
    group_rate: Annotated[str | None, Parameter(help="How many jobs of a group start in a time, or none.")] = None

    def changes(self) -> Mapping[str, Any]:
        """Return the new values by name, those of `GroupLimits` after "group.".

        Raises:
            ConfigurationError: one makes no sense.
        """
        given = {
            "max_global_concurrency": _count(self.max_global_concurrency, "--max-global-concurrency"),
            "limiter": _rate(self.rate, "--rate", self.burst, self.rate_key),
            "group.concurrency": _count(self.group_concurrency, "--group-concurrency"),
            "group.limiter": _rate(self.group_rate, "--group-rate"),
        }
        return {name: values[0] for name, values in given.items() if values}


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

    The limits of job names, and weights, are set from Python. Workers that declare another value are refused when
    they start.
    """
    import anyio

    return anyio.run(_change, queue, new.changes(), force, options)


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


async def _change(name: str, changes: Mapping[str, Any] | None, force: bool, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        if not force:
            await check_queues(app, [name], f"if that is the name: conveyor queues limits set {name} --force")
        queue = app.queue(name)
        await _set(queue, changes)
        report = await queue.limits()
    show_record(_to_json(name, report), options.output)
    return 0


async def _set(queue: Queue, changes: Mapping[str, Any] | None) -> None:
    from conveyor.model.limits import NO_LIMITS

    held = NO_LIMITS if changes is None else _changed((await queue.limits()).limits, changes)
    await queue.set_limits(
        max_global_concurrency=held.max_global_concurrency, limiter=held.limiter, group=held.group, names=held.names
    )


def _changed(held: QueueLimits, changes: Mapping[str, Any]) -> QueueLimits:
    from attrs import evolve

    from conveyor.model.limits import GroupLimits

    of_queue = {name: value for name, value in changes.items() if not name.startswith("group.")}
    of_group = {name.removeprefix("group."): value for name, value in changes.items() if name.startswith("group.")}
    if of_group:
        of_queue["group"] = evolve(held.group or GroupLimits(), **of_group)
    return evolve(held, **of_queue)


def _count(value: str | None, name: str) -> tuple[int | None, ...]:
    """Return the number in a tuple, which is empty where nothing was given."""
    from conveyor.errors import ConfigurationError

    if value is None:
        return ()
    if value == "none":
        return (None,)
    if not value.isdecimal() or not int(value):
        raise ConfigurationError(f"{name} must be a whole number of at least 1, or none, got {value!r}")
    return (int(value),)


def _rate(
    value: str | None, name: str, burst: int | None = None, key: str | None = None
) -> tuple[RateLimit | None, ...]:
    """Return the rate in a tuple, which is empty where nothing was given."""
    from conveyor.errors import ConfigurationError
    from conveyor.model.limits import RateLimit

    if value is None and (burst is not None or key is not None):
        raise ConfigurationError("--burst and --rate-key say more about --rate: give it, too")
    if value is None:
        return ()
    if value == "none":
        return (None,)
    most, _, per = value.partition("/")
    if not most.strip().isdecimal() or not per.strip():
        raise ConfigurationError(f'{name} must be starts per time, such as "100/1 minute", or none, got {value!r}')
    return (RateLimit(int(most), per.strip(), key, burst),)  # type: ignore[arg-type]


def _to_json(name: str, report: LimitsReport) -> dict[str, Any]:
    from conveyor.codec import to_json

    usages = [{**to_json(usage), "is_full": usage.is_full} for usage in report.usages]
    return {"name": name, "limits": to_json(report.limits), "usages": usages}


def _row(usage: Mapping[str, Any]) -> Sequence[object]:
    from datetime import UTC, datetime

    free_at = usage["free_at"]
    room = "" if free_at is None else in_words((datetime.fromisoformat(free_at) - datetime.now(UTC)).total_seconds())
    return (*(usage[title] for title in _TITLES[:-1]), room)
