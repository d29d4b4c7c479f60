"""Sealing: the app's payload codec between the JSON of arguments and results and what is kept of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor.errors import PayloadError
from conveyor.model.payload import arguments_of, result_of, schedule_place
from conveyor.model.schedules.firing import schedules_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.contracts.payload import PayloadCodec
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.payload import PayloadPlace
    from conveyor.model.queries import AddReceipt
    from conveyor.model.settlement import Settlement

__all__ = [
    "add_sealed",
    "opened",
    "opened_at",
    "opened_result",
    "refuse_sealed",
    "sealed_arguments",
    "sealed_end",
    "sealed_jobs",
    "sealed_result",
]

# How arguments begin that `AesGcmCodec` has sealed.
SEALED: Final = b'{"$sealed":{"codec":'


async def add_sealed(
    codec: PayloadCodec, add: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]], jobs: Sequence[NewJob]
) -> Sequence[AddReceipt]:
    """Add jobs with their arguments sealed; those of the caller stay as they are."""
    return await add(sealed_jobs(codec, jobs))


def sealed_jobs(codec: PayloadCodec, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
    """Return copies of jobs with their arguments sealed."""
    return [evolve(job, payload=codec.seal(job.payload, arguments_of(job))) for job in jobs]


def sealed_arguments(codec: PayloadCodec | None, payload: bytes, job: JobData) -> bytes:
    """Return new arguments of a job as they are kept."""
    return payload if codec is None else codec.seal(payload, arguments_of(job))


def opened(codec: PayloadCodec | None, job: JobData) -> JobData:
    """Return the job with its arguments opened.

    Raises:
        PayloadError: they do not open, or are sealed and there is no codec.
    """
    if codec is not None:
        return evolve(job, payload=_opened_arguments(codec, job))
    if job.payload.startswith(SEALED):
        reason = "is sealed, and this app has no payload_codec: give it the one, and the keys, of who added the job"
        raise PayloadError("arguments", "$", reason, name=job.name, job_id=job.id)
    return job


def _opened_arguments(codec: PayloadCodec, job: JobData) -> bytes:
    # The jobs of a schedule are made in the store, which has no keys: they have what the schedule was given.
    for schedule_id in schedules_of(job.options.tags):
        with suppress(PayloadError):
            return codec.open(job.payload, schedule_place(schedule_id, job.queue_name, job.name))
    return codec.open(job.payload, arguments_of(job))


def sealed_result(codec: PayloadCodec | None, result: bytes | None, job: JobData) -> bytes | None:
    """Return a job's result as it is kept."""
    return result if codec is None or result is None else codec.seal(result, result_of(job))


def sealed_end(codec: PayloadCodec | None, settlement: Settlement, job: JobData) -> Settlement:
    """Return the end of a run with its result sealed."""
    if codec is None or settlement.result is None:
        return settlement
    return evolve(settlement, result=codec.seal(settlement.result, result_of(job)))


def opened_result(codec: PayloadCodec | None, job: JobData) -> bytes | None:
    """Return a job's result, opened.

    Raises:
        PayloadError: it does not open.
    """
    return opened_at(codec, job.result, result_of(job))


def opened_at(codec: PayloadCodec | None, kept: bytes | None, place: PayloadPlace) -> bytes | None:
    """Return what was sealed for a place, if anything is there; raises PayloadError as `opened_result` does."""
    return kept if codec is None or kept is None else codec.open(kept, place)


def refuse_sealed(kept: bytes | None, place: PayloadPlace) -> None:
    """Refuse to take what is sealed for what was sealed, in an app without a codec.

    Raises:
        PayloadError: so it is.
    """
    if kept is not None and kept.startswith(SEALED):
        reason = "is sealed, and this app has no payload_codec: give it the one, and the keys, of who wrote it"
        raise PayloadError(place.direction, "$", reason, name=place.name)
