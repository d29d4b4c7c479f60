"""Where a payload belongs: what a codec binds it to, so that it is of use nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from attrs import frozen

if TYPE_CHECKING:
    from conveyor.model.job import JobData, NewJob

__all__ = ["PayloadPlace", "arguments_of", "batch_place", "result_of", "schedule_place"]


@frozen
class PayloadPlace:
    """One job's arguments or result, or what a schedule gives its jobs as arguments: `job_id` is the schedule's.

    Or a batch job's context or result: `job_id` is the batch job's, `name` its type, and it is in no queue.
    """

    direction: Literal["arguments", "result", "schedule", "batch context", "batch result"]
    job_id: str
    queue_name: str
    name: str

    def to_bytes(self) -> bytes:
        """Return bytes that no other place has."""
        return json.dumps([self.direction, self.job_id, self.queue_name, self.name]).encode()


def arguments_of(job: JobData | NewJob) -> PayloadPlace:
    """Return the place of a job's arguments."""
    return PayloadPlace("arguments", job.id, job.queue_name, job.name)


def result_of(job: JobData) -> PayloadPlace:
    """Return the place of a job's result."""
    return PayloadPlace("result", job.id, job.queue_name, job.name)


def schedule_place(schedule_id: str, queue_name: str, name: str) -> PayloadPlace:
    """Return the place of what a schedule gives its jobs."""
    return PayloadPlace("schedule", schedule_id, queue_name, name)


def batch_place(direction: Literal["batch context", "batch result"], batch_id: str, batch_type: str) -> PayloadPlace:
    """Return the place of a batch job's context or result."""
    return PayloadPlace(direction, batch_id, "", batch_type)
