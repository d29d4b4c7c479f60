"""``conveyor queues drain``, ``clean`` and ``obliterate``: counted and asked for before jobs are removed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from conveyor._cli.asking import ask, ask_for_name, counted
from conveyor._cli.output import say, show_record
from conveyor._cli.parameters import StoreOptions, Yes, flattened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta

    from conveyor._app import Conveyor
    from conveyor._handles.queue import Queue
    from conveyor.model.states import JobState

__all__ = ["clean", "drain", "obliterate"]

_DEFAULTS: Final = StoreOptions()

QueueName = Annotated[str, Parameter(help="Name of the queue.")]


def drain(queue: QueueName, /, *, yes: Yes = False, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Remove the jobs of a queue that have not started: waiting, delayed, and those that wait for children.

    Jobs that run or have ended stay.
    """
    from conveyor.model.states import JobState

    states = (JobState.WAITING, JobState.WAITING_CHILDREN, JobState.DELAYED)
    count, app = _counted(queue, options, lambda counts: sum(counts[state] for state in states))
    if count:
        ask(f"this will remove {counted(count, 'job')} of queue {queue} that have not started", is_agreed=yes)
    return _remove(app, queue, options, lambda handle: handle.drain())


def clean(
    queue: QueueName,
    /,
    *,
    state: Annotated[
        Literal["completed", "failed", "cancelled"] | None,
        Parameter(help="Which of those that have ended; not given: all."),
    ] = None,
    older_than: Annotated[str, Parameter(help="Only those that ended longer ago than this, such as 7 days.")] = "0s",
    yes: Yes = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Remove jobs of a queue that have ended, with their history.

    A broker that keeps jobs in no store removes those of all states alike, and counts none before.
    """
    import anyio

    from conveyor._cli.discovery import find_operated_app
    from conveyor.model.durations import parse_duration

    app = find_operated_app(options)
    age = parse_duration(older_than, field="--older-than")
    count = anyio.run(_count_ended, app, queue, state, age)
    if count != 0:
        jobs = "the jobs" if count is None else counted(count, "job")
        ended = f" and ended more than {older_than} ago" if age else ""
        ask(f"this will remove {jobs} of queue {queue} that are {state or 'settled'}{ended}", is_agreed=yes)
    return _remove(app, queue, options, lambda handle: handle.clean(state, age))


def obliterate(
    queue: QueueName,
    /,
    *,
    yes_delete: Annotated[
        str | None, Parameter(help="The name of the queue once more, instead of being asked for it.")
    ] = None,
    force: Annotated[
        bool, Parameter(name="--force", negative="", show_default=False, help="Also while jobs of it run.")
    ] = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Remove a queue with all its jobs, their history and its pauses; its limits stay.

    Exits with 5 while jobs of it run, unless forced: then they are stopped.
    """
    count, app = _counted(queue, options, lambda counts: sum(counts.values()))
    what = f"this will remove queue {queue} with {counted(count, 'job')}"
    ask_for_name(what, queue, yes_delete, "--yes-delete")
    return _remove(app, queue, options, lambda handle: handle.obliterate(force=force))


def _counted(queue: str, options: StoreOptions, count: Callable[[Mapping[JobState, int]], int]) -> tuple[int, Conveyor]:
    import anyio

    from conveyor._cli.discovery import find_operated_app

    app = find_operated_app(options)
    return count(anyio.run(_counts, app, queue)), app


async def _counts(app: Conveyor, queue: str) -> Mapping[JobState, int]:
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only

    async with looking_only(app):
        await check_queues(app, [queue])
        return await app.queue(queue).counts()


async def _count_ended(app: Conveyor, queue: str, state: str | None, age: timedelta) -> int | None:
    """Return how many jobs would be removed; None: nobody can tell."""
    from conveyor._cli.known_queues import check_queues, is_elsewhere
    from conveyor._cli.opening import looking_only
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import SETTLED_STATES, JobState

    states = SETTLED_STATES if state is None else (JobState(state),)
    async with looking_only(app):
        await check_queues(app, [queue])
        if is_elsewhere(app):
            return None
        if not age:
            counts = await app.queue(queue).counts()
            return sum(counts[one] for one in states)
        # By this machine's clock, to tell people; what is removed is decided by the store's.
        before = datetime.now(UTC) - age
        return await app.jobs.count(JobFilter((queue,), states=tuple(states), finished_to=before))


def _remove(app: Conveyor, queue: str, options: StoreOptions, act: Callable[[Queue], Awaitable[int]]) -> int:
    import anyio

    removed = anyio.run(partial(_act, app, queue, act))
    if not removed and options.output == "table":
        say("nothing to remove")
        return 0
    show_record({"name": queue, "removed": removed}, options.output)
    return 0


async def _act(app: Conveyor, queue: str, act: Callable[[Queue], Awaitable[int]]) -> int:
    from conveyor._cli.opening import looking_only

    async with looking_only(app):
        return await act(app.queue(queue))
