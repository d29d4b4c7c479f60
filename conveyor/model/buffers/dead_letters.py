"""Dead letters: the jobs of a flush that fail as soon as they are added, by what they have in common."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from attrs import frozen

from conveyor.model.error_groups import fingerprinted
from conveyor.model.job import ErrorInfo, moved_to_failed
from conveyor.model.queries import Added
from conveyor.model.retention import Removal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.queries import AddReceipt

__all__ = ["DeadLetters", "dead_letters_of"]


@frozen
class DeadLetters:
    """Jobs of one queue that fail for one reason, and leave their records for equally long.

    Attributes:
        removal: their `remove_on_fail`.
    """

    queue_name: str
    error: ErrorInfo
    removal: Removal
    job_ids: Sequence[str]


def dead_letters_of(plan: FlushPlan, receipts: Sequence[AddReceipt], there: Collection[str]) -> list[DeadLetters]:
    """Return the jobs of a plan that were added and fail for its reason; none where it has no reason.

    Those that were `there` before have been added past the buffer: they are none of the flush's.
    """
    if plan.failure is None:
        return []
    alike: defaultdict[tuple[str, str, Removal], list[str]] = defaultdict(list)
    for job, receipt in zip(plan.jobs, receipts, strict=True):
        if receipt.outcome is Added.ADDED and job.id not in there:
            alike[job.queue_name, job.name, job.options.remove_on_fail].append(receipt.job_id)
    error = moved_to_failed(plan.failure)
    return [
        DeadLetters(queue_name, fingerprinted(error, queue_name, name), removal, job_ids)
        for (queue_name, name, removal), job_ids in alike.items()
    ]
