"""What parents are told when their children end, in PostgreSQL, by everyone but the settlement of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.model.events import NotificationKind
from conveyor.model.flows import ChildOutcome
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["OUTCOMES", "hint_of_parents", "lock_flows", "tell_of_end", "tell_of_removals"]

OUTCOMES: Final = {
    JobState.COMPLETED: ChildOutcome.COMPLETED,
    JobState.FAILED: ChildOutcome.FAILED,
    JobState.CANCELLED: ChildOutcome.CANCELLED,
}


async def lock_flows(part: Part) -> None:
    """Let nobody else tell parents until the transaction ends; to be done before any job is locked."""
    await part.fetchval("jobs/remove_job_lock")


async def tell_of_end(part: Part, job_id: str, state: JobState, error: bytes | None) -> None:
    """Tell the parents of a job that was ended by hand, or stalled too often."""
    rows = await part.fetch("jobs/cancel_job_told", job_id, OUTCOMES[state].value, error, part.moment)
    hint_of_parents(part, rows)


async def tell_of_removals(part: Part, job_ids: Sequence[str]) -> None:
    """Tell those who waited for jobs that are gone, and forget what they knew themselves."""
    hint_of_parents(part, await part.fetch("jobs/remove_job_told", list(job_ids), part.moment))


def hint_of_parents(part: Part, rows: Iterable[Row]) -> None:
    """Wake the queues of parents that went on: of each the kind of hint and the queue."""
    for kind, queue_name in rows:
        part.hint(NotificationKind(kind), queue_name)
