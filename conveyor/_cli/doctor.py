"""``conveyor doctor``: payloads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter, validators

from conveyor._cli.output import say, write_json, write_table
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor._app import Conveyor
    from conveyor._services.payloads import Misfit

__all__ = ["doctor"]

_DEFAULTS: Final = StoreOptions()
_PAGE: Final = 1000
_IDS_SHOWN: Final = 3
_TITLES: Final = ("jobs", "queue", "name", "path", "reason", "for example")
_INDEX: Final = re.compile(r"\[\d+\]")

doctor: Final = App(name="doctor", help="Find what would go wrong, before it does.")

_EXAMPLES: Final = """Examples:
  conveyor doctor payloads --app shop.jobs:app
  conveyor doctor payloads --queue orders -o jsonl"""


@doctor.command(help_epilogue=_EXAMPLES)
def payloads(
    *,
    queue: Annotated[
        list[str] | None, Parameter(help="Only of these queues.", negative="", consume_multiple=True)
    ] = None,
    limit: Annotated[
        int | None,
        Parameter(help="Look at so many jobs at most, the newest.", validator=validators.Number(gte=1)),
    ] = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Read the arguments of every job that is not settled with the code at hand, and list those that do not fit.

    Run it with new code on the store of the old, before a deploy. It changes nothing.
    Exits with 1 if a job would fail, or has no handler.
    """
    import anyio

    return anyio.run(_payloads, queue or [], limit, options)


async def _payloads(queue_names: Sequence[str], limit: int | None, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.opening import looking_only

    opened: AbstractAsyncContextManager[Conveyor] = looking_only(find_app(options.app, options.store))
    async with opened as app:
        await check_queues(app, queue_names)
        checked, records = await _check(app, queue_names, limit)
    groups = list(_grouped(records))
    if options.output == "json":
        write_json({"checked": checked, "failing": len(records), "groups": groups, "jobs": records})
    elif options.output == "jsonl":
        for record in records:
            write_json(record, on_one_line=True)
    elif groups:
        write_table(_TITLES, [_row(group) for group in groups])
    say(_summary(checked, len(records)))
    return 1 if records else 0


async def _check(app: Conveyor, queue_names: Sequence[str], limit: int | None) -> tuple[int, list[dict[str, Any]]]:
    from conveyor._cli.opening import services_of
    from conveyor._cli.progress import showing_progress
    from conveyor._services.payloads import check_page, unsettled

    services, wanted = services_of(app), unsettled(queue_names)
    count = await services.inspection("checking payloads").count_matching(wanted)
    checked, cursor = 0, None
    records: list[dict[str, Any]] = []
    with showing_progress("checking payloads", min(count, limit or count)) as show:
        while limit is None or checked < limit:
            page = await check_page(services, wanted, cursor, min(_PAGE, limit - checked if limit else _PAGE))
            checked, cursor = checked + page.checked, page.next_cursor
            records += [_to_json(misfit) for misfit in page.misfits]
            show(checked)
            if cursor is None:
                break
    return checked, records


def _to_json(misfit: Misfit) -> dict[str, Any]:
    job = misfit.job
    return {
        "id": job.id,
        "queue_name": job.queue_name,
        "name": job.name,
        "state": job.state.value,
        "version": job.options.version,
        "path": misfit.path or None,
        "reason": misfit.reason,
    }


def _grouped(records: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is wrong, the most frequent first; the third line of an order is no other fault than the fifth."""
    ids: dict[tuple[Any, ...], list[str]] = {}
    for record in records:
        path = record["path"] and _INDEX.sub("[]", record["path"])
        ids.setdefault((record["queue_name"], record["name"], path, record["reason"]), []).append(record["id"])
    for (queue_name, name, path, reason), found in sorted(ids.items(), key=lambda group: -len(group[1])):
        yield {
            "count": len(found),
            "queue_name": queue_name,
            "name": name,
            "path": path,
            "reason": reason,
            "ids": found[:_IDS_SHOWN],
        }


def _row(group: Mapping[str, Any]) -> Sequence[object]:
    return (*(group[key] for key in ("count", "queue_name", "name", "path", "reason")), " ".join(group["ids"]))


def _summary(checked: int, failing: int) -> str:
    jobs = "1 job that is not settled" if checked == 1 else f"{checked} jobs that are not settled"
    if not failing:
        return f"looked at {jobs}: this code reads every one"
    return f"looked at {jobs}: this code would not run {failing}; list each: -o jsonl"
