"""Names of OpenTelemetry's conventions for messaging, and what of a job they are told.

https://opentelemetry.io/docs/specs/semconv/messaging/ (1.30)

A queue is a destination, adding is sending, running is processing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor import NewJob
    from conveyor.model.job import JobData

__all__ = [
    "BUFFER_ID",
    "ERROR_TYPE",
    "JOB_OUTCOME",
    "name_of_error",
    "of_add",
    "of_run",
    "size_of_add",
    "title",
    "which_run",
]

ERROR_TYPE: Final = "error.type"
# What the conventions have no word for.
JOB_NAME: Final = "conveyor.job.name"
JOB_ATTEMPT: Final = "conveyor.job.attempt"
JOB_OUTCOME: Final = "conveyor.job.outcome"
BUFFER_ID: Final = "conveyor.buffer.id"

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
MESSAGE_ID: Final = "messaging.message.id"
BATCH_COUNT: Final = "messaging.batch.message_count"


def of_add(jobs: Sequence[NewJob]) -> dict[str, str | int]:
    """Return what is the same of all jobs of an add: of low cardinality, as metrics want it."""
    known: dict[str, str | int] = {SYSTEM: "conveyor", OPERATION_NAME: "add", OPERATION_TYPE: "send"}
    queues, names = {job.queue_name for job in jobs}, {job.name for job in jobs}
    if len(queues) == 1:
        known[DESTINATION] = queues.pop()
    if len(names) == 1:
        known[JOB_NAME] = names.pop()
    return known


def size_of_add(jobs: Sequence[NewJob]) -> dict[str, str | int]:
    """Return how many jobs there are, or which one."""
    return {MESSAGE_ID: jobs[0].id} if len(jobs) == 1 else {BATCH_COUNT: len(jobs)}


def of_run(job: JobData) -> dict[str, str | int]:
    """Return what is the same of all runs of a handler."""
    return {
        SYSTEM: "conveyor",
        OPERATION_NAME: "run",
        OPERATION_TYPE: "process",
        DESTINATION: job.queue_name,
        JOB_NAME: job.name,
    }


def which_run(job: JobData) -> dict[str, str | int]:
    """Return which run it is."""
    return {MESSAGE_ID: job.id, JOB_ATTEMPT: job.attempts_made + 1}


def title(known: Mapping[str, str | int]) -> str:
    """Return the name of a span: what is done, and where."""
    return " ".join(str(known[key]) for key in (OPERATION_NAME, DESTINATION) if key in known)


def name_of_error(error: BaseException) -> str:
    """Return the type of an error, as ``error.type`` wants it."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
