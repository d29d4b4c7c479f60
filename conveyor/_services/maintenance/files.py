"""The pass over stored files: those that have expired go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conveyor._services.services import Services

__all__ = ["remove_expired_files"]

logger: Final = logging.getLogger("conveyor.files")


async def remove_expired_files(services: Services) -> int:
    """Delete the files that have expired, and what writers that died left behind; return how many there were.

    A storage that cannot is asked again at the next pass: no job of a worker waits for its files to be tidy.
    """
    try:
        return await services.file_storage.remove_expired()
    except Exception:
        logger.warning("expired files could not be removed; they are looked for again later", exc_info=True)
        return 0
