"""Times as people type them: a moment, or how long ago it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from conveyor.errors import ConfigurationError

__all__ = ["MOMENT", "parse_moment"]

MOMENT: Final = "a time (2026-01-31T12:00, UTC unless it says otherwise) or an age (2h)"


def parse_moment(text: str, option: str) -> datetime | None:
    """Return the time that was typed for an option; None where nothing was.

    Raises:
        ConfigurationError: it is neither a time nor an age.
    """
    from conveyor.model.durations import parse_duration

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return datetime.now(UTC) - parse_duration(text, field=option)
        except (ConfigurationError, OverflowError) as exc:
            raise ConfigurationError(f"{option} takes {MOMENT}; got {text!r}") from exc
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
