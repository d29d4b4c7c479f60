"""What ids tell of the time when they were made, so that nobody need look for a job among those that ended before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALWAYS", "made_between"]

# The clocks of whoever makes ids may be wrong by so much.
_CLOCKS_DIFFER: Final = timedelta(days=1)
_UUID_LENGTH: Final = 36
_UUID_VERSION: Final = 14
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def made_between(ids: Iterable[str]) -> tuple[datetime, datetime]:
    """Return times between which all of the ids were made, as those of version 7 tell; one from the future lies.

    >>> made_between(["0199c000-0000-7000-8000-000000000000"])[0].isoformat()
    '2025-10-06T18:47:29.536000+00:00'
    >>> made_between(["0199c000-0000-7000-8000-000000000000", "order-12"])[0].year
    1
    """
    try:
        made = [_made_at(job_id) for job_id in ids]
        first, last = min(made) - _CLOCKS_DIFFER, max(made) + _CLOCKS_DIFFER
    except (ValueError, OverflowError):
        return ALWAYS
    return ALWAYS if last - 2 * _CLOCKS_DIFFER > datetime.now(UTC) else (first, last)


def _made_at(job_id: str) -> datetime:
    if len(job_id) != _UUID_LENGTH or job_id[_UUID_VERSION] != "7":
        raise ValueError("it tells no time")
    return _EPOCH + timedelta(milliseconds=int(job_id[:8] + job_id[9:13], 16))
