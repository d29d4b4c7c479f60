"""Ids of buffers: as an app gives them, and whole, with its prefix before them, as everybody else sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from conveyor.contracts.job_buffer import JobBufferLike

__all__ = ["own", "wanted_ids", "whole_id"]

T = TypeVar("T")


def whole_id(prefix: str, given: JobBufferLike | str) -> str:
    """Return the whole id of a buffer that was given itself or by its id.

    Raises:
        ConfigurationError: it is neither.
    """
    buffer_id = given if isinstance(given, str) else getattr(given, "id", None)
    if not isinstance(buffer_id, str):
        raise ConfigurationError(f"a buffer or its id is wanted, got {given!r}")
    return prefix + buffer_id


def wanted_ids(prefix: str, given: Iterable[JobBufferLike | str] | None) -> Collection[str]:
    """Return the whole ids of the buffers that are meant; none: all.

    Raises:
        ConfigurationError: they are no list of buffers or their ids.
    """
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f"a list of buffers or their ids is wanted, got {given!r}")
    return [whole_id(prefix, one) for one in given]


def own(prefix: str, found: Mapping[str, T]) -> dict[str, T]:
    """Return what is known of an app's buffers by the ids that it gave them, and nothing of others."""
    return {buffer_id.removeprefix(prefix): value for buffer_id, value in found.items() if buffer_id.startswith(prefix)}
