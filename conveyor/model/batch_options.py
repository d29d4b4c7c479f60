"""Options of batch handlers: how many jobs they are given at once, and how long the first waits for the others."""

from __future__ import annotations

from datetime import timedelta

from attrs import field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.checks import is_bool, is_count
from conveyor.model.durations import Duration, parse_duration

__all__ = ["BatchOptions"]


def _linger(value: Duration) -> timedelta:
    return parse_duration(value, field="linger")


@frozen
class BatchOptions:
    """How a batch handler is called.

    Attributes:
        size: it is given at most so many jobs at once. Each holds one of the worker's slots.
        linger: how long the first of them waits for the others; zero takes those that are there.
        minimum: fewer are not run: they are put off for half the linger, without an attempt, so that more can come.
        by_group: only jobs of one group are taken together; those without a group likewise.
    """

    size: int = field(validator=is_count)
    linger: timedelta = field(default=timedelta(0), converter=_linger)
    minimum: int = field(default=1, validator=is_count)
    by_group: bool = field(default=False, validator=is_bool)

    def __attrs_post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ConfigurationError: the minimum is more than the size, or there is no time in which more could come.
        """
        if self.minimum > self.size:
            raise ConfigurationError(f"minimum ({self.minimum}) must not be more than size ({self.size})")
        if self.minimum > 1 and not self.linger:
            raise ConfigurationError(f"minimum={self.minimum} needs a linger, in which so many can come")
