"""The group of a job: a tenant, an account or anything else that shares a queue with others and has its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from attrs.validators import optional

from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_name, is_count

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["Group"]


def _is_group_id(_: object, attribute: Attribute[Any], value: str) -> None:
    check_name(value, f"group {attribute.name}")


@frozen
class Group:
    """Whom a job is for. The groups of a queue take turns, so that none waits behind the flood of another.

    Attributes:
        id: what it is called; jobs of the same queue with the same id are one group.
        max_size: refuse the job while so many of its group wait already; None: add it in any case.

    Raises:
        ConfigurationError: the id is empty, longer than 255 characters or no valid text; max_size is below 1.

    >>> Group("acme", max_size=100)
    Group(id='acme', max_size=100)
    """

    id: str = field(validator=_is_group_id)
    max_size: int | None = field(default=None, validator=optional(is_count))


def parse_group(value: Group | str | None) -> Group | None:
    """Return the group that is meant; a string is its id.

    Raises:
        ConfigurationError: it is neither, or no valid id.
    """
    if value is None or isinstance(value, Group):
        return value
    if isinstance(value, str):
        return Group(value)
    raise ConfigurationError(f'group must be a Group or its id, such as Group("acme"), got {value!r}')
