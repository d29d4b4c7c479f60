"""Changing all jobs that match a filter, a chunk at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from conveyor.model.bulk import BulkTally, narrowed, of_now
from conveyor.model.queries import check_filter
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._services.services import Services
    from conveyor.model.bulk import BulkReport
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import Command

__all__ = ["change_matching"]

# So many jobs, with what they carry, are in memory at once, and change in one step of the store.
CHUNK: Final = 500


async def change_matching(
    services: Services,
    command: Command,
    wanted: JobFilter,
    *,
    reason: str = "",
    progress: Callable[[BulkReport], None] | None = None,
) -> BulkReport:
    """Change the jobs that match now, newest first, and report; what is added later is left alone.

    A job that moved on meanwhile is skipped. Where this fails halfway, earlier chunks stay changed.

    Raises:
        ConfigurationError: it is no filter.
        CapabilityError: the store cannot look around.
    """
    check_filter(wanted)
    inspection = services.inspection(f"{command.value} of many jobs", is_grouping=bool(wanted.error_group))
    wanted, tally, cursor, is_first = narrowed(wanted, command), BulkTally(command), None, True
    while is_first or cursor is not None:
        page = await inspection.search_jobs(wanted, cursor=cursor, limit=CHUNK)
        if is_first:
            # Ids given by callers do not grow with time: without this, what they add could come under the cursor.
            wanted, is_first = of_now(wanted, page.at), False
        if page.jobs:
            ids = [job.id for job in page.jobs]
            tally.count(await inspection.change_jobs(command, ids, wanted, reason=clean_text(reason)))
            if progress is not None:
                progress(tally.report())
        cursor = page.next_cursor
        # The memory store lets nobody else run by itself.
        await checkpoint()
    return tally.report()
