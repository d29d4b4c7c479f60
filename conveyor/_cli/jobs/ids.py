"""Ids as people type them: whole, or their beginning as far as it is clear."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from conveyor._cli.opening import services_of
from conveyor._cli.prefixes import MOST_LOOKED_FOR, SHORTEST_PREFIX, only_id
from conveyor._services.buffers import find_ids, find_places
from conveyor.errors import ConfigurationError
from conveyor.model.checks import is_text
from conveyor.model.queries import JobFilter
from conveyor.model.text import HIGHEST_CHARACTER

if TYPE_CHECKING:
    from conveyor._app import Conveyor

__all__ = ["check_cursor", "whole_id"]


async def whole_id(app: Conveyor, given: str) -> str:
    """Return the id that is meant, of a job, or of one in a buffer or merged; what is no beginning of any, as it is.

    Raises:
        CommandError: it is the beginning of several; the message names them.
    """
    services = services_of(app)
    store = services.store
    if not is_text(given) or len(given) < SHORTEST_PREFIX or store.inspection is None:
        return given
    if await store.jobs.find_job(given) is not None or await find_places(services, [given]):
        return given
    page = await store.inspection.search_jobs(JobFilter(), cursor=given + HIGHEST_CHARACTER, limit=MOST_LOOKED_FOR)
    found = {job.id for job in page.jobs if job.id.startswith(given)}
    return only_id(given, sorted(found.union(await find_ids(services, given, MOST_LOOKED_FOR))))


async def check_cursor(app: Conveyor, cursor: str | None) -> None:
    """Check that a cursor is what a page may have ended with: the id of a job, or what looks like one of ours.

    Raises:
        ConfigurationError: it is not.
    """
    if cursor is None or _is_uuid(cursor) or await services_of(app).store.jobs.find_job(cursor) is not None:
        return
    raise ConfigurationError(f"--cursor takes what an earlier page ended with; {cursor!r} is not the id of any job")


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
