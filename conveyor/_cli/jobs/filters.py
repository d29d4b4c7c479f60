"""Which jobs a command means: flags, the filter they make, and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from attrs import fields, frozen
from cyclopts import Parameter, validators

from conveyor._cli.moments import MOMENT, parse_moment

if TYPE_CHECKING:
    from datetime import datetime

    from conveyor.model.queries import JobFilter

__all__ = ["FilterOptions", "in_words", "parse_filter"]


def _several(text: str) -> Parameter:
    return Parameter(negative="", consume_multiple=True, help=text)


def _flag(text: str) -> Parameter:
    return Parameter(show_default=False, help=text)


@frozen(kw_only=True)
class FilterOptions:
    """What every command takes that means jobs by what they are."""

    queue: Annotated[list[str] | None, _several("Only of these queues.")] = None
    state: Annotated[
        list[str] | None,
        _several("Only in these states: waiting, waiting_children, delayed, active, completed, failed, cancelled."),
    ] = None
    name: Annotated[list[str] | None, _several("Only of these job names.")] = None
    tag: Annotated[list[str] | None, _several("Only with all of these tags.")] = None
    text: Annotated[str, _flag("Only with this in the id, the name or the payload.")] = ""
    error: Annotated[str, _flag("Only with this in the type or the message of the last error.")] = ""
    error_group: Annotated[str, _flag("Only failed ones of this group, as conveyor errors list shows it.")] = ""
    min_attempts: Annotated[
        int, Parameter(show_default=False, help="Only after so many attempts.", validator=validators.Number(gte=0))
    ] = 0
    created_after: Annotated[str, _flag(f"Only added since then: {MOMENT}.")] = ""
    created_before: Annotated[str, _flag("Only added before then.")] = ""
    finished_after: Annotated[str, _flag("Only ended since then.")] = ""
    finished_before: Annotated[str, _flag("Only ended before then.")] = ""

    @property
    def is_empty(self) -> bool:
        """Whether it means every job."""
        return not any(getattr(self, field.name) for field in fields(FilterOptions))


def parse_filter(options: FilterOptions) -> JobFilter:
    """Return the filter of these flags.

    Raises:
        ConfigurationError: a state or a time is none.
    """
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import parse_state

    return JobFilter(
        queue_names=tuple(options.queue or ()),
        names=tuple(options.name or ()),
        states=tuple(parse_state(state) for state in options.state or ()),
        tags=tuple(options.tag or ()),
        text=options.text,
        created_from=parse_moment(options.created_after, "--created-after"),
        created_to=parse_moment(options.created_before, "--created-before"),
        finished_from=parse_moment(options.finished_after, "--finished-after"),
        finished_to=parse_moment(options.finished_before, "--finished-before"),
        error=options.error,
        min_attempts=options.min_attempts,
        error_group=options.error_group,
    )


def in_words(wanted: JobFilter) -> str:
    """Return which jobs a filter means, to follow the word jobs."""
    words = [
        _any_of("of queue", wanted.queue_names),
        _any_of("named", wanted.names),
        _any_of("in state", wanted.states),
        " and ".join(f"tagged {tag}" for tag in wanted.tags),
        f"with {wanted.text!r} in them" if wanted.text else "",
        f"with {wanted.error!r} in the error" if wanted.error else "",
        f"in error group {wanted.error_group}" if wanted.error_group else "",
        f"after {wanted.min_attempts} attempts" if wanted.min_attempts else "",
        _between("added", wanted.created_from, wanted.created_to),
        _between("ended", wanted.finished_from, wanted.finished_to),
    ]
    return " ".join(filter(None, words))


def _any_of(words: str, names: tuple[str, ...]) -> str:
    return f"{words} {' or '.join(names)}" if names else ""


def _between(what: str, start: datetime | None, end: datetime | None) -> str:
    since = f"{what} since {start.isoformat(timespec='seconds')}" if start else ""
    before = f"{what} before {end.isoformat(timespec='seconds')}" if end else ""
    return " and ".join(filter(None, (since, before)))
