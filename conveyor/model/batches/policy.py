"""How many bad rows a batch job may have, and how often a row that fails is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from attrs.validators import optional

from conveyor.errors import ConfigurationError
from conveyor.model.checks import is_not_negative
from conveyor.model.durations import Duration, parse_duration

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["ErrorPolicy"]

# Before so many rows a share says nothing, where nobody knows how many there will be.
LEAST_ROWS_FOR_SHARE: Final = 100


def _wait(value: Duration) -> timedelta:
    return parse_duration(value, field="wait")


def _is_share(_: object, attribute: Attribute[float], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ConfigurationError(f"{attribute.name} must be above 0 and at most 1, got {value!r}")


@frozen
class ErrorPolicy:
    """What becomes of a batch job that has bad rows; made by `stop`, `skip` or `retry`.

    Attributes:
        most: with more bad rows than this the batch job fails; None: with any number it goes on.
        share: the same as a part of all rows; where nobody knows how many there are, of those done so far.
        retries: how often a row that fails alone is tried again before it is a bad row. One that is refused as bad
            (ValueError from a check, BadRowError) is not: it would be refused again.
        wait: how long before each of these tries; no transaction is open meanwhile.
    """

    most: int | None = field(default=None, validator=optional(is_not_negative))
    share: float | None = field(default=None, validator=optional(_is_share))
    retries: int = field(default=0, validator=is_not_negative)
    wait: timedelta = field(default=timedelta(seconds=1), converter=_wait)

    @classmethod
    def stop(cls) -> ErrorPolicy:
        """Return the policy that fails the batch job at its first bad row; the rows before it stay done."""
        return cls(most=0)

    @classmethod
    def skip(cls, *, most: int | None = None, share: float | None = None) -> ErrorPolicy:
        """Return the policy that keeps bad rows apart and goes on, with so many or such a share of them at most."""
        return cls(most=most, share=share)

    @classmethod
    def retry(
        cls, times: int, *, wait: Duration = timedelta(seconds=1), most: int | None = None, share: float | None = None
    ) -> ErrorPolicy:
        """Return the policy that tries a row which fails alone so many times more, and then goes on as `skip`."""
        return cls(most=most, share=share, retries=times, wait=wait)

    def is_exceeded(self, failed: int, done: int, total: int | None) -> bool:
        """Return whether so many bad rows are too many.

        >>> ErrorPolicy.skip(share=0.05).is_exceeded(failed=6, done=10, total=100)
        True

        Args:
            failed: how many rows are bad so far.
            done: how many rows were looked at so far, bad ones included.
            total: how many rows there are; None: nobody knows.
        """
        if failed == 0:
            return False
        if self.most is not None and failed > self.most:
            return True
        if self.share is None:
            return False
        if total is None and done < LEAST_ROWS_FOR_SHARE:
            return False
        return failed > self.share * (done if total is None else total)

    def describe(self) -> str:
        """Return what it allows, in words that follow "at most"."""
        allowed = [] if self.most is None else [str(self.most)]
        if self.share is not None:
            allowed.append(f"{self.share:.4g} of all")
        return " and ".join(allowed)
