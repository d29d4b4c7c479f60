"""The stored files of batch jobs that were removed: those that would expire go at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from conveyor._services.batches.sealing import opened_context, opened_result
from conveyor.codec import encode_json
from conveyor.errors import PayloadError
from conveyor.model.batches.values import BatchFilter

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conveyor._services.services import Services
    from conveyor.model.batches.values import BatchJobData

__all__ = ["remove_files"]

logger: Final = logging.getLogger("conveyor.batches")

PAGE: Final = 1000


async def remove_files(services: Services, removed: Sequence[BatchJobData]) -> int:
    """Delete the stored files of batch jobs that are there no more; return how many there were.

    Which are theirs, their strategies say (`AbstractBatchJobStrategy.stored_files`). A file stays that another batch
    job names, or may name where it does not open; one without a time to expire is somebody's who deletes it. What
    cannot be deleted now is logged, and expires.
    """
    try:
        keys = {key for batch in removed for key in await _files_of(services, batch)}
        return sum([await _remove(services, key) for key in await _unnamed(services, keys)])
    except Exception:
        logger.warning(
            "files of removed batch jobs could not be deleted; they are there until they expire", exc_info=True
        )
        return 0


async def _unnamed(services: Services, keys: Collection[str]) -> Sequence[str]:
    """Return the keys that no batch job names."""
    store = services.batch_store("the files of batch jobs")
    cursor = None
    while keys:
        page = await store.find_batches(BatchFilter(), cursor=cursor, limit=PAGE)
        for other in page.batches:
            text = _written_in(services, other)
            keys = () if text is None else [key for key in keys if encode_json(key)[1:-1] not in text]
        if (cursor := page.cursor) is None:
            break
    return sorted(keys)


async def _files_of(services: Services, batch: BatchJobData) -> Sequence[str]:
    strategy = services.batches.find(batch.batch_type)
    if strategy is None:
        return ()
    try:
        return await strategy.hooks.stored_files(opened_context(services, batch), opened_result(services, batch))
    except PayloadError:
        return ()


async def _remove(services: Services, key: str) -> bool:
    file = await services.file_storage.find(key)
    return file is not None and file.expires_at is not None and await services.file_storage.delete(key)


def _written_in(services: Services, batch: BatchJobData) -> bytes | None:
    """Return what a batch job is to do and what came of it, as one text; None: it does not open here."""
    try:
        return encode_json([opened_context(services, batch), opened_result(services, batch)])
    except PayloadError:
        return None
