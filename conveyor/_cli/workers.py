"""``conveyor workers``: who works, on what, and who was lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App

from conveyor._cli.output import age, say, show_records
from conveyor._cli.parameters import ListOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.sessions import SessionInfo

__all__ = ["TITLES", "worker_record", "worker_row", "workers"]

_DEFAULTS: Final = ListOptions()

TITLES: Final = ("worker", "process", "loop", "version", "queues", "running", "age", "seen")

workers: Final = App(name="workers", help="See who works, and on what.")


@workers.command(name="list", help_epilogue="Example:\n  conveyor workers list -o json")
def list_(*, options: Annotated[ListOptions, flattened] = _DEFAULTS) -> int:
    """List workers of every process that shares the store, the oldest first, with what each has in hand."""
    import anyio

    return anyio.run(_list, options)


async def _list(options: ListOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only, services_of

    async with looking_only(find_operated_app(options)) as app:
        sessions = await app.workers()
        name = services_of(app).store.name
    if not sessions and options.output == "table":
        say(f"nobody works on {name}")
        return 0
    show_records([worker_record(session) for session in sessions], options.output, TITLES, worker_row)
    return 0


def worker_record(session: SessionInfo) -> dict[str, Any]:
    """Return a worker as JSON has it."""
    return {
        "id": session.id,
        "hostname": session.hostname,
        "pid": session.pid,
        "backend": session.backend,
        "version": session.version,
        "queue_names": list(session.queue_names),
        "concurrency": session.concurrency,
        "running": session.running_count,
        "opened_at": _iso(session.opened_at),
        "last_seen_at": _iso(session.last_seen_at),
        "lock_until": _iso(session.expires_at),
    }


def worker_row(worker: Mapping[str, Any]) -> Sequence[object]:
    """Return the cells of a worker in a table."""
    return (
        worker["id"][:8],
        f"{worker['pid']} on {worker['hostname']}",
        worker["backend"],
        worker["version"],
        ", ".join(worker["queue_names"]),
        f"{worker['running']} of {worker['concurrency']}",
        age(worker["opened_at"]),
        _seen(worker),
    )


def _seen(worker: Mapping[str, Any]) -> str:
    until = worker["lock_until"]
    if until is not None and datetime.fromisoformat(until) <= datetime.now(UTC):
        return f"lost, {age(until)} ago"
    return f"{age(worker['last_seen_at'])} ago" if worker["last_seen_at"] is not None else "-"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
