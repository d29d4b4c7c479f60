"""What can be said of a batch job when it is created, and what makes two of them the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import field, frozen
from typing_extensions import TypedDict

from conveyor.errors import BatchJobError, ConfigurationError, did_you_mean
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import BatchFilter, Confirmation
from conveyor.model.checks import aware, is_bool, is_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from attrs import Attribute

__all__ = [
    "BatchKeywords",
    "CreateOptions",
    "identity_of",
    "identity_of_bad_rows",
    "parse_batch_keywords",
    "parse_filter",
]


# Closed, so that every type checker knows a misspelt option for one.
class BatchKeywords(TypedDict, total=False, closed=True):
    """The keywords of ``app.batches.create`` and ``app.batches.new``; see `CreateOptions`."""

    dry_run: bool
    created_by: str | None
    confirmation: Confirmation | str | None
    force: bool


_KNOWN: Final = frozenset(BatchKeywords.__annotations__)


def _confirmation(value: Confirmation | str | None) -> Confirmation | None:
    try:
        return None if value is None else Confirmation(value)
    except ValueError:
        allowed = ", ".join(repr(str(one)) for one in Confirmation)
        raise ConfigurationError(f"confirmation must be one of {allowed}, or None, got {value!r}") from None


def _is_owner(_: object, attribute: Attribute[str | None], value: str | None) -> None:
    if value is not None and not is_text(value):
        raise ConfigurationError(f"{attribute.name} must be text or None, got {value!r}")


@frozen
class CreateOptions:
    """What can be said of a batch job when it is created.

    Attributes:
        dry_run: try everything and keep nothing.
        created_by: who wants it, in the words of the app.
        confirmation: whether it is confirmed as soon as it is pre-processed; None: as its strategy says.
        force: create it also where another is the same.

    Raises:
        ConfigurationError: a value is not what it must be.
    """

    dry_run: bool = field(default=False, validator=is_bool)
    created_by: str | None = field(default=None, validator=_is_owner)
    confirmation: Confirmation | None = field(default=None, converter=_confirmation)
    force: bool = field(default=False, validator=is_bool)


def parse_batch_keywords(keywords: BatchKeywords) -> CreateOptions:
    """Return the options.

    Raises:
        ConfigurationError: one is unknown, or is not what it must be.
    """
    for name in keywords:
        if name not in _KNOWN:
            raise ConfigurationError(f"there is no option {name!r} of a batch job: {did_you_mean(name, _KNOWN)}")
    # The keywords are parsed by the converters of its fields.
    return CreateOptions(**cast("dict[str, Any]", keywords))


def parse_filter(
    *,
    types: Sequence[str],
    statuses: Sequence[BatchStatus | str],
    created_by: str | None,
    parent_id: str | None,
    created_from: datetime | None,
    created_before: datetime | None,
) -> BatchFilter:
    """Return which batch jobs are meant.

    Raises:
        ConfigurationError: a status is unknown, a time has no zone, or one name stands for a list of them.
    """
    if isinstance(types, str) or isinstance(statuses, str):
        raise ConfigurationError("types and statuses are lists, as in types=['product-import']")
    known = [str(status) for status in BatchStatus]
    for status in statuses:
        if status not in known:
            raise ConfigurationError(f"there is no status {str(status)!r}: {did_you_mean(str(status), known)}")
    return BatchFilter(
        tuple(types),
        tuple(BatchStatus(status) for status in statuses),
        created_by,
        parent_id,
        None if created_from is None else aware(created_from, "created_from"),
        None if created_before is None else aware(created_before, "created_before"),
    )


def identity_of(context: Mapping[str, Any], identifying: Sequence[str], *, batch_type: str) -> str | None:
    """Return what makes batch jobs of a type the same: a digest of these fields of their context; None: nothing does.

    >>> identity_of({"file": "a", "n": 1}, ["file"], batch_type="b")[:8]
    '0eb5b8d6'

    Raises:
        BatchJobError: the context lacks one of them.
    """
    if not identifying:
        return None
    for name in identifying:
        if name not in context:
            raise BatchJobError(
                f"the context of a batch job of type {batch_type!r} must have {name!r}, which tells whether two are "
                "the same",
                batch_type=batch_type,
            )
    said = json.dumps([context[name] for name in identifying], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()


def identity_of_bad_rows(parent_id: str) -> str:
    """Return what makes two batch jobs the same that take up the bad rows of one.

    No context gives the same: that would be the digest of a list.
    """
    return hashlib.sha256(f"bad rows of {parent_id}".encode()).hexdigest()
