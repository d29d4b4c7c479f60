"""Trying again what failed because the store could not be used, and telling of that sparingly."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Outage", "until_available"]

logger: Final = logging.getLogger("conveyor.store")

FIRST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 2.0
# How long after its start an outage is told of again; then twice as long each time, up to the longest.
FIRST_SILENCE_SECONDS: Final = 10.0
LONGEST_SILENCE_SECONDS: Final = 600.0

T = TypeVar("T")


class Outage:
    """Whether the store can be used, as all loops of an app find it together.

    An outage begins with the first call that fails and ends when each that failed has worked, or is wanted no
    more: where reading works and writing does not, it goes on. A dozen loops ask again and again meanwhile, so
    it is told of once at the start, at growing intervals, and at the end.
    """

    def __init__(self) -> None:
        """Begin in peace."""
        self._failing: set[object] = set()
        self._began_at = 0.0
        self._tell_at = 0.0
        self._silence_seconds = FIRST_SILENCE_SECONDS

    def note_failure(self, asking: object, what: str, error: StoreUnavailableError) -> None:
        """Note that a call failed.

        Args:
            asking: who asks, and will ask again: the same for each try.
            what: what it wanted to do, as in "could not ...".
            error: why it could not.
        """
        now = anyio.current_time()
        if not self._failing:
            self._began_at = now
            self._silence_seconds = FIRST_SILENCE_SECONDS
            self._tell_at = now + self._silence_seconds
            logger.warning("could not %s, trying again until the store can be used: %s", what, error)
        elif now >= self._tell_at:
            self._silence_seconds = min(2 * self._silence_seconds, LONGEST_SILENCE_SECONDS)
            self._tell_at = now + self._silence_seconds
            logger.warning("the store cannot be used since %.0f s: could not %s: %s", self._seconds, what, error)
        else:
            logger.debug("could not %s: %s", what, error)
        self._failing.add(asking)

    def note_success(self, asking: object) -> None:
        """Note that a call worked."""
        if asking not in self._failing:
            return
        self._failing.discard(asking)
        if not self._failing:
            logger.warning("the store can be used again, after %.1f s", self._seconds)

    def forget(self, asking: object) -> None:
        """Note that nobody will ask this any more."""
        self._failing.discard(asking)

    @property
    def _seconds(self) -> float:
        return anyio.current_time() - self._began_at


async def until_available(call: Callable[[], Awaitable[T]], what: str, outage: Outage) -> T:
    """Await the call until the store can be used. Store commands may be repeated, so this loses nothing."""
    try:
        return await call()
    except StoreUnavailableError as exc:
        return await _try_again(call, what, outage, exc)


async def _try_again(call: Callable[[], Awaitable[T]], what: str, outage: Outage, error: StoreUnavailableError) -> T:
    asking = object()
    wait_seconds = FIRST_WAIT_SECONDS
    try:
        while True:
            outage.note_failure(asking, what, error)
            await anyio.sleep(wait_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - spreads retries, no secret
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
            try:
                value = await call()
            except StoreUnavailableError as exc:
                error = exc
            else:
                outage.note_success(asking)
                return value
    finally:
        outage.forget(asking)
