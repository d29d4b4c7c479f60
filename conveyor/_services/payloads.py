"""Whether the jobs that are not settled yet would be read by the handlers at hand: a look before a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from conveyor._services.sealing import opened
from conveyor.errors import PayloadError, UnknownHandlerError
from conveyor.model.queries import JobFilter
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._services.handlers import HandlerRegistry
    from conveyor._services.services import Services
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.model.job import JobData

__all__ = ["Misfit", "PayloadPage", "check_page", "find_misfit", "unsettled"]

# An active job counts: its attempt may fail, and its worker may hand it back.
_TO_BE_READ: Final = (JobState.WAITING, JobState.WAITING_CHILDREN, JobState.DELAYED, JobState.ACTIVE)


@frozen
class Misfit:
    """A job that the code at hand would not run: no handler, or arguments that it cannot read.

    Attributes:
        path: where in the arguments; empty where there is no handler.
    """

    job: JobData
    path: str
    reason: str


@frozen
class PayloadPage:
    """Some of the jobs that were looked at."""

    checked: int
    misfits: Sequence[Misfit]
    next_cursor: str | None


def unsettled(queue_names: Sequence[str] = ()) -> JobFilter:
    """Return which jobs are still to be read, in these queues or in all."""
    return JobFilter(queue_names=tuple(queue_names), states=_TO_BE_READ)


async def check_page(services: Services, wanted: JobFilter, cursor: str | None, limit: int) -> PayloadPage:
    """Look at the arguments of a page of jobs, newest first.

    Raises:
        CapabilityError: the store cannot be searched.
    """
    page = await services.inspection("checking payloads").search_jobs(wanted, cursor=cursor, limit=limit)
    codec = services.payload_codec
    misfits = [misfit for job in page.jobs if (misfit := find_misfit(services.handlers, job, codec)) is not None]
    return PayloadPage(len(page.jobs), misfits, page.next_cursor)


def find_misfit(handlers: HandlerRegistry, job: JobData, codec: PayloadCodec | None = None) -> Misfit | None:
    """Return why the handlers at hand would not run a job, or None if they would."""
    try:
        handlers.get(job).arguments.check(opened(codec, job).payload, job.options.version)
    except UnknownHandlerError as exc:
        return Misfit(job, "", str(exc))
    except PayloadError as exc:
        return Misfit(job, exc.path, exc.reason)
    return None
