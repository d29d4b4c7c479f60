"""Parents that a drain's worker cannot bring to run: their children are in queues that it does not serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from conveyor._handles.queue import Queue
    from conveyor.contracts.store import FlowStore, Store

__all__ = ["find_stranded", "stranded_error"]

# So many jobs a queue lists at once.
PAGE: Final = 1000


async def find_stranded(store: Store, queues: Sequence[Queue], *, with_delayed: bool) -> frozenset[str] | None:
    """Return which other queues have jobs that parents in these wait for, and that nobody runs; None: some are run.

    Those that are delayed into the future count only where the delayed ones are to be run too.
    """
    flows, served = store.flows, {queue.name for queue in queues}
    parents = [parent for queue in queues for parent in await _waiting_parents(queue)]
    if flows is None:
        return frozenset()
    found: set[str] = set()
    for job in (await store.jobs.find_jobs(await _open_leaves(store, flows, parents))).values():
        if job.queue_name in served:
            if job.state is not JobState.DELAYED:
                return None
        elif job.state is JobState.WAITING or (with_delayed and job.state is JobState.DELAYED):
            found.add(job.queue_name)
        elif job.state is not JobState.DELAYED:
            return None  # another worker runs it, or it has just ended
    return frozenset(found)


async def _waiting_parents(queue: Queue) -> list[str]:
    """Return the ids of a queue's jobs that wait for children."""
    ids: list[str] = []
    while True:
        page = await queue.jobs(JobState.WAITING_CHILDREN, len(ids), len(ids) + PAGE)
        ids += [job.id for job in page]
        if len(page) < PAGE:
            return ids


def stranded_error(served: Collection[str], queue_names: Collection[str]) -> ConfigurationError:
    """Return what to say where jobs wait for others in queues that are not served."""
    named = ", ".join(repr(name) for name in (*served, *sorted(queue_names)))
    others = ", ".join(repr(name) for name in sorted(queue_names))
    return ConfigurationError(
        f"jobs wait for children in {others}, which this drain does not serve, and would wait for ever: "
        f"name all of the queues, drain(app, {named})"
    )


async def _open_leaves(store: Store, flows: FlowStore, parents: Iterable[str]) -> list[str]:
    """Return the ids of jobs that have not ended and wait for no others, below these."""
    leaves: list[str] = []
    rest, seen = list(parents), set(parents)
    while rest:
        found = [child for parent in rest for child in await flows.get_children(parent)]
        children = [child.job_id for child in found if child.outcome is None]
        new = [child_id for child_id in dict.fromkeys(children) if child_id not in seen]
        seen.update(new)
        jobs = await store.jobs.find_jobs(new)
        rest = [job_id for job_id in new if job_id in jobs and jobs[job_id].state is JobState.WAITING_CHILDREN]
        leaves += [job_id for job_id in new if job_id not in rest]
    return leaves
