"""Batch jobs by their ids as people type them: whole, or their beginning as far as it is clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._cli.opening import services_of
from conveyor._cli.prefixes import MOST_LOOKED_FOR, SHORTEST_PREFIX, only_id
from conveyor.model.batches.values import BatchFilter
from conveyor.model.checks import is_text

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor._handles.batch_job import BatchJob

__all__ = ["meant", "whole_id"]


async def meant(app: Conveyor, given: str) -> BatchJob:
    """Return the batch job that is meant.

    Raises:
        CommandError: it is the beginning of several ids; the message names them.
        BatchJobNotFoundError: it is the beginning of none.
    """
    return await app.batches.get(await whole_id(app, given))


async def whole_id(app: Conveyor, given: str) -> str:
    """Return the id that is meant; what is no beginning of any is returned as it is.

    Raises:
        CommandError: it is the beginning of several; the message names them.
    """
    batches = services_of(app).batch_store("conveyor batch")
    if not is_text(given) or len(given) < SHORTEST_PREFIX or await batches.get_batch(given) is not None:
        return given
    page = await batches.find_batches(BatchFilter(id_prefix=given), limit=MOST_LOOKED_FOR)
    return only_id(given, [batch.id for batch in page.batches])
