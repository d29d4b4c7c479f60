"""``conveyor store stats``: how much is in a store, and how much it does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from conveyor._cli.output import age, say, show_record, write, write_table
from conveyor._cli.parameters import StoreOptions, flattened
from conveyor._cli.workers import TITLES, worker_record, worker_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._app import Conveyor
    from conveyor.model.queries import QueueInfo

__all__ = ["stats"]

_DEFAULTS: Final = StoreOptions()
_WINDOW: Final = timedelta(hours=1)
_UNITS: Final = ("B", "kB", "MB", "GB")


def stats(*, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Show what is in the store: jobs by queue and state, its size, its workers, what ended in the last hour."""
    import anyio

    from conveyor._cli.discovery import find_operated_app

    record = anyio.run(_stats, find_operated_app(options))
    if options.output == "table":
        _write(record)
    else:
        show_record(record, options.output)
    return 0


async def _stats(app: Conveyor) -> dict[str, Any]:
    from conveyor._cli.opening import looking_only, services_of

    async with looking_only(app):
        services = services_of(app)
        inspection = services.inspection("store stats")
        stats = await inspection.get_stats(_WINDOW)
        queues = await inspection.list_queues()
        sessions = await services.store.sessions.list_sessions()
        name = services.store.name
    oldest = min((queue.oldest_waiting_at for queue in queues if queue.oldest_waiting_at is not None), default=None)
    return {
        "store": name,
        "size_bytes": stats.size_bytes,
        "jobs": sum(sum(queue.counts.values()) for queue in queues),
        "counts": _total(queues),
        "queues": {queue.name: _by_state(queue) for queue in queues},
        "oldest_waiting_at": None if oldest is None else oldest.isoformat(),
        "settled_last_hour": {state.value: count for state, count in stats.settled.items()},
        "workers": [worker_record(session) for session in sessions],
    }


def _by_state(queue: QueueInfo) -> dict[str, int]:
    return {state.value: count for state, count in queue.counts.items()}


def _total(queues: Sequence[QueueInfo]) -> dict[str, int]:
    from conveyor.model.states import JobState

    return {state.value: sum(queue.counts[state] for queue in queues) for state in JobState}


def _write(record: Mapping[str, Any]) -> None:
    size = record["size_bytes"]
    lately = ", ".join(f"{count} {state}" for state, count in record["settled_last_hour"].items())
    fields = (
        ("store", record["store"]),
        ("size", "-" if size is None else _in_bytes(size)),
        ("jobs", record["jobs"]),
        ("oldest", age(record["oldest_waiting_at"]) or "-"),
        ("last hour", lately),
    )
    write_table((), fields)
    if not record["queues"]:
        say("no queue yet")
        return
    write("")
    rows = [(name, *counts.values()) for name, counts in record["queues"].items()]
    write_table(("queue", *record["counts"]), [*rows, ("all", *record["counts"].values())])
    if record["workers"]:
        write("")
        write_table(TITLES, [worker_row(worker) for worker in record["workers"]])


def _in_bytes(size: float) -> str:
    """Return a size as people say it.

    >>> _in_bytes(900), _in_bytes(81_920), _in_bytes(3_500_000_000_000)
    ('900 B', '81.9 kB', '3500.0 GB')
    """
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the last unit takes every size")
