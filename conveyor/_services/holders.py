"""Who holds a deduplication key: the job that others met that were not added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.codec import encode_json, hash_json
from conveyor.errors import ConfigurationError, PayloadError
from conveyor.model.checks import could_be_id

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.model.job import JobData, NewJob

__all__ = ["find_holder", "find_holder_for"]


async def find_holder(
    services: Services, queue_name: str, job_name: str, *, key: str | None, data: object
) -> JobData | None:
    """Return the live job that holds the key, or whose arguments, added with ``hash=True``, were these; or None.

    Raises:
        ConfigurationError: both are given, or neither.
        PayloadError: the data has no JSON form.
    """
    if (key is None) is (data is None):
        raise ConfigurationError(
            "a job is found by the key that it was added with, or by its data where that was hash=True: "
            "give one of them (data={} for a job without arguments)"
        )
    if key is None:
        try:
            key = hash_json(encode_json(data))
        except PayloadError as exc:
            raise PayloadError("arguments", exc.path, exc.reason, name=job_name) from exc
    if not could_be_id(job_name, "job name") or not could_be_id(key, "key"):
        return None
    return await services.store.jobs.find_by_deduplication_key(queue_name, job_name, key)


async def find_holder_for(services: Services, job: NewJob) -> JobData | None:
    """Return the live job that holds the key of a new one, or None.

    Raises:
        ConfigurationError: the new job has no deduplication.
    """
    if job.deduplication is None:
        raise ConfigurationError(
            f"jobs of {job.name!r} have no deduplication key that one of them could hold: "
            "give deduplication= to @queue.job() or to options()"
        )
    return await find_holder(services, job.queue_name, job.name, key=job.deduplication.key, data=None)
