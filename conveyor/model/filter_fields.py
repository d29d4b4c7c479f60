"""What the fields of filters may be: a filter that means other jobs than its author thought is a hazard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors import ConfigurationError
from conveyor.model.checks import aware, is_text
from conveyor.model.states import JobState, parse_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from attrs import Attribute

__all__ = ["ids", "is_moment", "is_words", "names", "queue_names", "states", "tags"]


def queue_names(value: Iterable[str]) -> tuple[str, ...]:
    """Return the names of queues."""
    return _several(value, "queue_names")


def names(value: Iterable[str]) -> tuple[str, ...]:
    """Return the names of jobs."""
    return _several(value, "names")


def tags(value: Iterable[str]) -> tuple[str, ...]:
    """Return the tags."""
    return _several(value, "tags")


def ids(value: Iterable[str]) -> tuple[str, ...]:
    """Return the ids."""
    return _several(value, "ids")


def states(value: Iterable[JobState | str]) -> tuple[JobState, ...]:
    """Return the states, which may be given by their names."""
    return tuple(parse_state(name) for name in _several(value, "states"))


def is_words(_: object, attribute: Attribute[str], value: str) -> None:
    """Refuse what is no text that a store can look for."""
    if not is_text(value):
        raise ConfigurationError(f"{attribute.name} must be a valid string, got {value!r}")


def is_moment(_: object, attribute: Attribute[datetime | None], value: datetime | None) -> None:
    """Refuse what is no time in a time zone."""
    if value is not None:
        aware(value, attribute.name)


def _several(value: Iterable[str], name: str) -> tuple[str, ...]:
    # A lone string would be taken for its letters, and mean the queues "a" and "b" by "ab".
    if isinstance(value, str) or not isinstance(value, (tuple, list, set, frozenset)) or not all(map(is_text, value)):
        raise ConfigurationError(f"{name} must be a tuple of valid strings, such as ('one',), got {value!r}")
    return tuple(value)
