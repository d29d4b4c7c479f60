"""Where a page of batch jobs ends, as text that people hand back for the next one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.batches.values import BatchJobData

__all__ = ["page_end", "parse_page_end"]

_SEPARATOR: Final = "/"


def page_end(batches: Sequence[BatchJobData]) -> str:
    """Return where a page with these batch jobs ends."""
    last = batches[-1]
    return f"{last.created_at.isoformat()}{_SEPARATOR}{last.id}"


def parse_page_end(cursor: str) -> tuple[datetime, str]:
    """Return the time and the id of the last batch job of the page before.

    Raises:
        ConfigurationError: no page ends there.
    """
    text, _, batch_id = cursor.partition(_SEPARATOR)
    try:
        created_at = datetime.fromisoformat(text)
    except ValueError:
        created_at = None
    if created_at is None or created_at.tzinfo is None or not batch_id:
        raise ConfigurationError(f"{cursor!r} is no cursor of a page of batch jobs: take that of the page before")
    return created_at, batch_id
