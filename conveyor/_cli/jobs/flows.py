"""Flows on the command line: who waits for whom, as records and as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter, validators

from conveyor._cli.output import say, write, write_json
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conveyor._app import Conveyor
    from conveyor._handles.job import Job
    from conveyor._services.flows import ChildJob

__all__ = ["cancel_flows", "child_record", "family_of", "tree"]

_DEFAULTS: Final = StoreOptions()
_MOST: Final = 1000


async def family_of(app: Conveyor, job: Job[Any]) -> dict[str, Any]:
    """Return a job's parents and children as JSON-like values; neither where the store has no flows."""
    from conveyor._cli.opening import services_of

    if services_of(app).store.flows is None:
        return {"parents": [], "children": []}
    parents = [parent.id for parent in await job.parents()]
    return {"parents": parents, "children": [child_record(child) for child in await job.children()]}


def child_record(child: ChildJob) -> dict[str, Any]:
    """Return a child as JSON-like values."""
    outcome = None if child.outcome is None else child.outcome.value
    return {"id": child.job_id, "queue_name": child.queue_name, "name": child.name, "outcome": outcome}


def tree(
    job_id: Annotated[str, Parameter(help="Id of the job, or its first characters, at least 8.")],
    /,
    *,
    limit: Annotated[
        int, Parameter(help="How many jobs at most.", validator=validators.Number(gte=1, lte=_MOST))
    ] = 200,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show a job with the jobs that it waits, or waited, for, and those below them."""
    import anyio

    return anyio.run(_tree, job_id, limit, options)


async def _tree(job_id: str, limit: int, options: StoreOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.jobs.ids import whole_id
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        branches = _Branches(app, limit)
        root = await branches.grow(await app.jobs.get(await whole_id(app, job_id)))
    if options.output == "table":
        for line in _lines(root):
            write(line)
    else:
        write_json(root, on_one_line=options.output == "jsonl")
    if branches.is_cut:
        say(f"there are more than {limit} jobs: --limit, or the id of one of those shown")
    return 0


async def cancel_flows(given: Sequence[str], reason: str, options: StoreOptions) -> int:
    """Cancel jobs with all below them; tell how many of each flow that were, and exit with 5 where there were none."""
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.failures import ExitCode
    from conveyor._cli.jobs.ids import whole_id
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import show_records

    async with looking_only(find_operated_app(options)) as app:
        # All of them are found before the first is cancelled.
        jobs = [await app.jobs.get(await whole_id(app, one)) for one in given]
        records = [{"id": job.id, "cancelled": await app.flows.cancel(job.id, reason)} for job in jobs]
    show_records(records, options.output, ("id", "cancelled"), lambda record: tuple(record.values()))
    return ExitCode.OK if all(record["cancelled"] for record in records) else ExitCode.REFUSED


class _Branches:
    """Grows the tree below a job, until it has as many jobs as it may."""

    def __init__(self, app: Conveyor, limit: int) -> None:
        self.is_cut = False
        self._app = app
        self._left = limit
        self._grown: set[str] = set()

    async def grow(self, job: Job[Any]) -> dict[str, Any]:
        """Return a job with those below it. What stands in several places has its branch in the first."""
        node: dict[str, Any] = {"id": job.id, "queue_name": job.queue_name, "name": job.name, "state": job.state.value}
        branches: list[dict[str, Any]] = []
        self._left -= 1
        if job.id not in self._grown:
            self._grown.add(job.id)
            for child in await job.children():
                if self._left <= 0:
                    self.is_cut = True
                    break
                branches.append(await self._grow_child(child))
        return node | {"children": branches}

    async def _grow_child(self, child: ChildJob) -> dict[str, Any]:
        from conveyor.errors import JobNotFoundError

        try:
            return await self.grow(await self._app.jobs.get(child.job_id))
        except JobNotFoundError:
            self._left -= 1
            record = child_record(child)
            outcome = record.pop("outcome")
            return record | {"state": outcome, "children": []}


def _lines(node: Mapping[str, Any], before: str = "", below: str = "") -> Iterator[str]:
    yield f"{before}{node['id']}  {node['queue_name']}/{node['name']}  {node['state'] or '-'}"
    children = node["children"]
    for number, child in enumerate(children, 1):
        is_last = number == len(children)
        yield from _lines(child, f"{below}{'└─' if is_last else '├─'} ", f"{below}{'   ' if is_last else '│  '}")
