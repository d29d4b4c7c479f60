"""``conveyor queues``: list, pause and resume; those that remove jobs stand beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from conveyor._cli.output import age, say, show_record, show_records
from conveyor._cli.parameters import ListOptions, StoreOptions, flattened
from conveyor._cli.queue_limits import limits
from conveyor._cli.queue_removals import clean, drain, obliterate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.queries import QueueInfo

__all__ = ["queues"]

_DEFAULTS: Final = StoreOptions()
_LIST_DEFAULTS: Final = ListOptions()

queues: Final = App(name="queues", help="Look at queues; pause, drain and clean them.")

QueueName = Annotated[str, Parameter(help="Name of the queue.")]
JobName = Annotated[str | None, Parameter(help="Only the jobs of this name, instead of the whole queue.")]
Force = Annotated[
    bool, Parameter(name="--force", negative="", show_default=False, help="Also a queue that the store has never seen.")
]


@queues.command(name="list", help_epilogue="Example:\n  conveyor queues list -o json")
def list_(*, options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS) -> int:
    """List queues: jobs in each state, what is paused, how long the oldest has been waiting."""
    import anyio

    return anyio.run(_list, options)


async def _list(options: ListOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only, services_of
    from conveyor.model.states import JobState

    async with looking_only(find_operated_app(options)) as app:
        infos = await services_of(app).inspection("listing queues").list_queues()
        name = services_of(app).store.name
    if not infos and options.output == "table":
        say(f"no queue in {name}")
        return 0
    titles = ("queue", *(state.value for state in JobState), "oldest", "paused")
    show_records([_to_json(info) for info in infos], options.output, titles, _row)
    return 0


@queues.command(help_epilogue="Example:\n  conveyor queues pause mails --job-name send_welcome")
def pause(
    queue: QueueName,
    /,
    *,
    job_name: JobName = None,
    force: Force = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Start no more jobs of a queue, on any worker, until it is resumed; running jobs go on."""
    import anyio

    return anyio.run(_switch, "pause", queue, job_name, force, options)


@queues.command(help_epilogue="Example:\n  conveyor queues resume mails")
def resume(
    queue: QueueName,
    /,
    *,
    job_name: JobName = None,
    force: Force = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Start jobs of a queue again; undoes `pause` with the same name."""
    import anyio

    return anyio.run(_switch, "resume", queue, job_name, force, options)


async def _switch(
    verb: Literal["pause", "resume"], name: str, job_name: str | None, force: bool, options: StoreOptions
) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only, services_of

    async with looking_only(find_operated_app(options)) as app:
        if not force:
            await check_queues(app, [name], f"if that is the name: conveyor queues {verb} {name} --force")
        queue = app.queue(name)
        await (queue.pause(job_name) if verb == "pause" else queue.resume(job_name))
        paused = await services_of(app).store.queues.get_paused_job_names(name)
    show_record({"name": name, **_paused_to_json(paused)}, options.output)
    return 0


def _to_json(info: QueueInfo) -> dict[str, Any]:
    oldest = info.oldest_waiting_at
    return {
        "name": info.name,
        "counts": {state.value: count for state, count in info.counts.items()},
        "oldest_waiting_at": None if oldest is None else oldest.isoformat(),
        **_paused_to_json(info.paused_names),
    }


def _paused_to_json(paused: frozenset[str]) -> dict[str, Any]:
    from conveyor.model.queries import ALL_NAMES

    return {"is_paused": ALL_NAMES in paused, "paused_job_names": sorted(paused - {ALL_NAMES})}


def _row(queue: Mapping[str, Any]) -> Sequence[object]:
    paused = ["yes"] if queue["is_paused"] else []
    shown = ", ".join([*paused, *queue["paused_job_names"]])
    return (queue["name"], *queue["counts"].values(), age(queue["oldest_waiting_at"]), shown)


for _command, _example in (
    (drain, "conveyor queues drain mails --yes"),
    (clean, 'conveyor queues clean mails --state failed --older-than "7 days"'),
    (obliterate, "conveyor queues obliterate mails --yes-delete mails"),
):
    queues.command(_command, help_epilogue=f"Example:\n  {_example}")

queues.command(limits)
