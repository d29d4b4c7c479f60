"""Which batch jobs ``conveyor batch list`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from attrs import frozen
from cyclopts import Parameter
from typing_extensions import TypedDict

from conveyor._cli.moments import MOMENT, parse_moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["BatchFilterOptions", "BatchFilterValues", "parsed"]


@frozen(kw_only=True)
class BatchFilterOptions:
    """Flags that say which batch jobs are meant."""

    type: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True, help="Only of these types.")] = None
    status: Annotated[
        list[str] | None,
        Parameter(negative="", consume_multiple=True, help="Only in these statuses, such as processing or failed."),
    ] = None
    by: Annotated[str | None, Parameter(help="Only those that this person created.")] = None
    parent: Annotated[str | None, Parameter(help="Only those that take up the rows of this one.")] = None
    created_after: Annotated[str, Parameter(show_default=False, help=f"Only created since then: {MOMENT}.")] = ""
    created_before: Annotated[str, Parameter(show_default=False, help="Only created before then.")] = ""


class BatchFilterValues(TypedDict):
    """The same as ``app.batches.list`` takes it."""

    types: Sequence[str]
    statuses: Sequence[str]
    created_by: str | None
    parent_id: str | None
    created_from: datetime | None
    created_before: datetime | None


def parsed(options: BatchFilterOptions) -> BatchFilterValues:
    """Return what is meant.

    Raises:
        ConfigurationError: a time is none.
    """
    return {
        "types": options.type or (),
        "statuses": options.status or (),
        "created_by": options.by,
        "parent_id": options.parent,
        "created_from": parse_moment(options.created_after, "--created-after"),
        "created_before": parse_moment(options.created_before, "--created-before"),
    }
