"""What the values that users give must be; whatever is not raises a ConfigurationError that names it.

The first four are validators of attrs' fields.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from datetime import timedelta

    from attrs import Attribute

__all__ = [
    "aware",
    "check_integer",
    "check_job_id",
    "check_name",
    "check_page",
    "could_be_id",
    "is_bool",
    "is_count",
    "is_integer",
    "is_not_negative",
    "is_text",
    "longer_than_zero",
]

LONGEST_NAME: Final = 255
LONGEST_ID: Final = 255


def is_count(_: object, attribute: Attribute[int], value: int) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{attribute.name} must be a whole number of at least 1, got {value!r}")


def is_integer(_: object, attribute: Attribute[int], value: int) -> None:
    """Refuse what is no whole number of 32 bits."""
    check_integer(value, attribute.name)


def check_integer(value: int, name: str) -> int:
    """Return the value if it is a whole number of 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise ConfigurationError(f"{name} must be a whole number of 32 bits, got {value!r}")
    return value


def is_not_negative(_: object, attribute: Attribute[int], value: int) -> None:
    """Refuse what is no whole number of at least 0 and of 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ConfigurationError(f"{attribute.name} must be a whole number of at least 0 and of 32 bits, got {value!r}")


def is_bool(_: object, attribute: Attribute[bool], value: bool) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{attribute.name} must be True or False, got {value!r}")


def is_text(value: object) -> bool:
    """Return whether this is a string that every store can keep as it is."""
    return isinstance(value, str) and clean_text(value) == value


def aware(value: datetime, name: str) -> datetime:
    """Return the moment if it says in which time zone it is meant."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"{name} must be a datetime with a time zone, got {value!r}")
    return value


def longer_than_zero(value: Duration, name: str) -> timedelta:
    """Return the duration if it is longer than zero."""
    duration = parse_duration(value, field=name)
    if not duration:
        raise ConfigurationError(f"{name} must be longer than zero")
    return duration


def check_page(cursor: str | None, limit: int) -> None:
    """Refuse a cursor that none can be, and a page of less than one item.

    Raises:
        ConfigurationError: it is so.
    """
    if cursor is not None and not is_text(cursor):
        raise ConfigurationError(f"cursor must be the next_cursor of a page, or None, got {cursor!r}")
    if check_integer(limit, "limit") < 1:
        raise ConfigurationError(f"limit must be at least 1, got {limit}")


def check_job_id(value: str) -> str:
    """Return the id if it can name a job.

    Raises:
        ConfigurationError: it is no string, is empty, too long, or holds control characters.
    """
    return _check_word(value, "job_id", LONGEST_ID)


def could_be_id(value: str, kind: str) -> bool:
    """Return whether something may have this id or key; what no store can keep, none has to look for.

    Raises:
        ConfigurationError: it is no string.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{kind} must be a string, got {value!r}")
    return is_text(value)


def check_name(value: str, kind: str) -> str:
    """Return the name of a queue or job if it is one: 1 to 255 characters, none of them a control character.

    Raises:
        ConfigurationError: it is not.
    """
    return _check_word(value, kind, LONGEST_NAME)


def _check_word(value: str, kind: str, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise ConfigurationError(f"{kind} must be a string of 1 to {longest} characters, got {value!r}")
    if value.isascii() and value.isprintable():
        return value  # as nearly all are: one look at each character costs more than making a job
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ConfigurationError(f"{kind} must hold no control characters, got {value!r}")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise ConfigurationError(f"{kind} must be valid unicode, got {value!r}")
    return value
