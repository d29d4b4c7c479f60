"""Outcomes: what a handler means by the way it ends. They are values, not errors."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

from attrs import field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.durations import parse_duration

__all__ = ["Cancel", "Completed", "Failed", "Outcome", "Retry", "Snooze", "Stop", "WaitForChildren"]


def _delay(value: timedelta | float | str) -> timedelta:
    return parse_duration(value, field="delay")


def _after(value: timedelta | float | str | None) -> timedelta | None:
    return None if value is None else parse_duration(value, field="after")


def _exception(error: BaseException | type[BaseException] | str) -> BaseException:
    if isinstance(error, str):
        return RuntimeError(error)
    if isinstance(error, type) and issubclass(error, BaseException):
        return error()  # as a raise would
    if not isinstance(error, BaseException):
        raise ConfigurationError(f"Failed takes an exception or words, got {error!r}")
    return error


@frozen
class Completed:
    """The job is done; `value` is its result. Returning the plain value says the same."""

    value: object = None


@frozen
class Failed:
    """The attempt failed; it is retried by the job's policy unless `retry` is False."""

    error: BaseException = field(converter=_exception)
    retry: bool = True


@frozen
class Retry:
    """The attempt failed; try again after this wait (None: as the job's back-off says).

    It counts as an attempt: with none left, the job fails. In a queue with limits, one that waits does not count:
    the handler ran into a limit that conveyor does not know.
    """

    after: timedelta | None = field(default=None, converter=_after)
    reason: str = "the handler asked for a retry"


@frozen
class Snooze:
    """Run again after this wait; the attempt is not counted."""

    delay: timedelta = field(converter=_delay)


@frozen
class Cancel:
    """End the job as cancelled, for this reason."""

    reason: str = "cancelled by its handler"


@frozen
class WaitForChildren:
    """Run again once the job's children have ended; the attempt is not counted.

    A run that added children runs again at once where they have ended already. Where none is open, and the run neither
    added any nor saw one open, the attempt failed, with a FlowError.
    """


Outcome: TypeAlias = Completed | Failed | Retry | Snooze | Cancel | WaitForChildren


class Stop(Exception):  # noqa: N818 - it is not an error: it carries an outcome out of deep code
    """Raise it from deep code to end the run with an outcome: ``raise Stop(Snooze("1 minute"))``."""

    def __init__(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Completed | Failed | Retry | Snooze | Cancel | WaitForChildren):
            raise ConfigurationError(f"Stop takes an outcome such as Snooze('1m'), got {outcome!r}")
        self.outcome = outcome
        super().__init__(outcome)
