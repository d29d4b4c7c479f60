"""The jobs that work for batch jobs: their names, their ids, and what they carry."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import uuid_utils

from conveyor._services.sealing import sealed_jobs
from conveyor.codec import encode_json
from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_job_id
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.retry import exponential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor._services.batches.strategies import Strategy
    from conveyor._services.services import Services

__all__ = [
    "batch_of",
    "check_batch_id",
    "created_by_job",
    "is_job_of",
    "new_part_work",
    "new_work",
    "part_name",
    "pre_process_name",
]

# The wait before a part that failed is tried again.
PART_BACKOFF: Final = exponential("1s", max="5 minutes", jitter=0)
# The ids of its jobs begin with that of the batch job, and are no longer than those of other jobs.
LONGEST_BATCH_ID: Final = 200


def check_batch_id(value: str) -> str:
    """Return the id if it can name a batch job; raises ConfigurationError where it cannot."""
    if len(check_job_id(value)) > LONGEST_BATCH_ID:
        raise ConfigurationError(f"the id of a batch job has at most {LONGEST_BATCH_ID} characters, got {value!r}")
    return value


def created_by_job(job_id: str) -> str:
    """Return the id of the batch job that a job creates: always the same, so that a rerun creates no other."""
    return job_id if len(job_id) <= LONGEST_BATCH_ID else hashlib.sha256(job_id.encode()).hexdigest()


def pre_process_name(batch_type: str) -> str:
    """Return the name of the jobs that pre-process batch jobs of a type; those that process them are called as it.

    >>> pre_process_name("product-import")
    'product-import:pre_process'
    """
    return f"{batch_type}:pre_process"


def part_name(batch_type: str) -> str:
    """Return the name of the jobs that work on parts of batch jobs of a type."""
    return f"{batch_type}:part"


def new_work(services: Services, batch_id: str, job_name: str) -> NewJob:
    """Make a job that works for a batch job, as the store gets it. Each is another one."""
    return _new_job(services, job_name, {"batch_id": batch_id}, JobOptions())


def new_part_work(services: Services, strategy: Strategy, batch_id: str, part: int) -> NewJob:
    """Make a job that works for a part of a batch job; it fails no more often than a run of the batch job may."""
    options = JobOptions(attempts=strategy.max_retries + 1, backoff=PART_BACKOFF)
    return _new_job(services, part_name(strategy.batch_type), {"batch_id": batch_id, "part": part}, options)


def _new_job(services: Services, job_name: str, arguments: Mapping[str, Any], options: JobOptions) -> NewJob:
    job_id = f"{arguments['batch_id']}:{uuid_utils.uuid7()}"
    job = NewJob(job_id, services.batches.queue_name, job_name, encode_json(arguments), options)
    codec = services.payload_codec
    return job if codec is None else sealed_jobs(codec, [job])[0]


def is_job_of(batch_id: str, job_id: str) -> bool:
    """Return whether a job works, or worked, for a batch job."""
    return job_id.startswith(f"{batch_id}:")


def batch_of(job_id: str) -> str:
    """Return the id of the batch job that a job works for, if it works for one.

    >>> batch_of("import-1:01a20167-9ed0-7c11-8a44-0d4d3ff9c0de")
    'import-1'
    """
    return job_id.rpartition(":")[0]
